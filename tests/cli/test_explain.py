"""The explanation page holds every token, its tier, and the trees; text of the model cannot break out of it."""

from __future__ import annotations

import json
import re

from planned import FLAT, VOCAB, repeating

from hd_edge.cli.explain import Explanation
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import NO_PREDICTION, Step, root_alone
from hd_edge.draft.tree_planner import TreePlanner


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
    assert [t["text"] for step in steps for t in step["tokens"]] == [f"<{t}>" for t in emitted_all]
    tiers = [t["tier"] for step in steps for t in step["tokens"]]
    assert tiers.count("context") > tiers.count("target") > 0
    assert all(step["tokens"][-1]["tier"] == "target" for step in steps)  # the bonus token
    drafted = next(step for step in steps if len(step["nodes"]) > 1)
    assert drafted["cost"] == FLAT[len(drafted["nodes"])]
    assert drafted["expected"] > drafted["cost"]
    assert sum(node["accepted"] for node in drafted["nodes"]) == len(drafted["tokens"])


def test_text_cannot_end_the_script(tmp_path):
    explain = Explanation(lambda token: "</script><script>alert(1)</script>")
    explain(Step(root_alone(1), [0], [2], 1.0))
    explain.write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 1
    assert steps_of(page)[0]["tokens"][0]["text"].startswith("</script>")
