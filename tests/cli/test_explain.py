"""The explanation page holds every token, its tier, and the trees; text of the model cannot break out of it."""

from __future__ import annotations

import json
import re
from importlib.resources import files

from planned import FLAT, VOCAB, repeating

from hd_edge.cli.explain import Explanation
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import NO_PREDICTION, Step, root_alone
from hd_edge.draft.tree_planner import TreePlanner
from hd_edge.tiers.colours import COLOURS


def steps_of(page: str) -> list[dict]:
    return json.loads(re.search(r"const steps = (.*);\n", page).group(1))


def test_a_page_shows_tokens_trees_and_costs(tmp_path):
    text = repeating()
    plan = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve.of(FLAT))
    explain = Explanation(lambda token: f"<{token}>", plan)
    plan.begin(text[:200], NO_PREDICTION)
    at, emitted_all = 200, []
    while at < 260:
        tree = plan.plan(int(text[at - 1]), 63, 16)
        path = tree.follow(text[at:].tolist())
        step = Step(tree, path, text[at : at + len(path)].tolist(), 1.0)
        plan.learn(step)
        explain(step)
        emitted_all += step.tokens
        at += len(path)
    explain.write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    steps = steps_of(page)
    assert steps.pop(0) == {"tokens": [{"text": f"<{text[199]}>", "tier": "target"}], "nodes": []}  # of the prefill
    assert [t["text"] for step in steps for t in step["tokens"]] == [f"<{t}>" for t in emitted_all]
    tiers = [t["tier"] for step in steps for t in step["tokens"]]
    assert tiers.count("context") > tiers.count("target") > 0
    assert all(step["tokens"][-1]["tier"] == "target" for step in steps)  # the bonus token
    drafted = next(step for step in steps if len(step["nodes"]) > 1)
    assert drafted["cost"] == FLAT[len(drafted["nodes"])]
    assert drafted["expected"] > drafted["cost"]
    assert sum(node["accepted"] for node in drafted["nodes"]) == len(drafted["tokens"])


def test_text_cannot_end_the_script(tmp_path):
    explain = Explanation(lambda token: "</script><script>alert(1)</script>/* MEANINGS */")
    explain(Step(root_alone(1), [0], [2], 1.0))
    explain.write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 1
    assert steps_of(page)[0]["tokens"][0]["text"].startswith("</script>")
    assert json.loads(re.search(r"const meanings = (.*);\n", page).group(1)).keys() == {"target", *COLOURS}


def test_every_page_has_the_tiers_colours(tmp_path):
    """This one is made with them, that of the server repeats them, and is shown on phones and dark screens, too."""
    Explanation(str).write(tmp_path / "page.html")
    web = files("hd_edge").joinpath("server", "web")
    pages = [tmp_path / "page.html", *(file for file in web.iterdir() if file.name.endswith((".html", ".css")))]
    texts = "\n".join(page.read_text(encoding="utf-8") for page in pages[1:])
    for text in (pages[0].read_text(encoding="utf-8"), texts):
        for tier, colour in COLOURS.items():
            assert re.search(rf"--{tier}:\s*light-dark\({colour.light},\s*{colour.dark}\)", text), tier
        assert '<meta name="viewport" content="width=device-width' in text
