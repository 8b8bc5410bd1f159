"""The explanation page holds every token, its tier, and the trees; text of the model cannot break out of it."""

from __future__ import annotations

import json
import re

from planned import FLAT, VOCAB, follow, repeating

from hd_edge import _native
from hd_edge.cli.explain import Explanation
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.tree_planner import TreePlanner


def steps_of(page: str) -> list[dict]:
    return json.loads(re.search(r"const steps = (.*);\n", page).group(1))


def test_a_page_shows_tokens_trees_and_costs(tmp_path):
    text = repeating()
    plan = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve.of(FLAT))
    explain = Explanation(lambda token: f"<{token}>", plan)
    plan.begin(text[:200])
    at, emitted_all = 200, []
    while at < 260:
        tree = plan.plan(63, 16)
        path = follow(tree, text[at:])
        emitted = [int(t) for t in text[at : at + len(path)]]
        plan.learn(None, tree, path, emitted, 1.0)
        explain(tree, path, emitted)
        emitted_all += emitted
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
    tree = _native.DraftTree()
    tree.add(1, -1)
    explain = Explanation(lambda token: "</script><script>alert(1)</script>")
    explain(tree, [0], [2])
    explain.write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 1
    assert steps_of(page)[0]["tokens"][0]["text"].startswith("</script>")
