"""scripts/benchmarks/drafter_table.py: what a word costs, each answer decoded to its end, a run on a tiny model."""

from __future__ import annotations

import json

import drafter_table
import pytest
from traces import Trace

from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import root_alone
from hd_edge.draft.tree_planner import TreePlanner

CURVE = {1: 1.0, 4: 1.1, 8: 1.3}


class Knowing:
    """Drafts the next token of what it is told comes, and spends a quarter of a forward on it."""

    def __init__(self, text: list[int]) -> None:
        self.text, self.at, self.asking = text, 0, self
        self.spent, self.words, self.tier = 0.25, 2, self
        self.asked: list[object] = []

    def converse(self, messages, prompt_tokens) -> None:
        self.asked.append((messages, prompt_tokens))

    def begin(self, tokens, prediction) -> None:
        self.at = len(tokens)

    def plan(self, root, rows, leaves):
        tree = root_alone(root)
        if self.at < len(self.text):
            tree.add(self.text[self.at], 0, 1, 0.9)
        return tree

    def learn(self, step) -> None:
        self.at += len(step.tokens)


def test_an_answer_costs_its_forwards_and_its_words():
    trace = Trace("file:1", "file", [1, 2, 3], [4, 5, 6, 7, 8], "What?")
    planner, tally = Knowing(trace.prompt + trace.answer), drafter_table.Tally()
    drafter_table.decode(planner, trace, CURVE, tally)
    assert planner.asked == [([{"role": "user", "content": "What?"}], 3)]
    assert (tally.tokens, tally.steps, tally.rows) == (4, 2, 4)  # the prompt's forward gave the first token
    assert tally.words == 4
    assert tally.cost == pytest.approx(2 * (1.1 + 0.25))
    assert tally.told()["speedup"] == pytest.approx(4 / 2.7)


def test_without_a_drafter_an_answer_that_repeats_itself_is_drafted_by_its_context():
    trace = Trace("file:1", "file", [1], [2, 3, 4, 5] * 16, "")
    tally = drafter_table.Tally()
    drafter_table.decode(TreePlanner(16, drafter_table.DraftConfig(), cost=CostCurve.of(CURVE)), trace, CURVE, tally)
    assert tally.tokens == 63
    assert tally.steps < 32


def test_a_file_without_answers_is_told(models, tmp_path):
    traces = tmp_path / "model.eval.jsonl"
    traces.write_text(json.dumps({"prompt": "Hi", "output": "Yes."}) + "\n")
    small = str(models("Q4_0"))
    with pytest.raises(SystemExit, match=r"no answer .* in model\.eval"):
        drafter_table.main(["--traces", str(traces), "--vocab", small, "--drafter", small, "-t", "1"])


@pytest.mark.parametrize(("odd", "told"), [(["--shares", "0.1", "-1"], "not -1"), (["--curve", "2:1"], "not with 2")])
def test_costs_that_cannot_be_are_refused(capsys, odd, told):
    with pytest.raises(SystemExit):
        drafter_table.main(["--traces", "x.jsonl", "--vocab", "x.gguf", "--drafter", "demo", *odd])
    assert told in capsys.readouterr().err


def test_a_run_tells_each_share(models, tmp_path, capfd):
    traces, out = tmp_path / "model.eval.jsonl", tmp_path / "table.json"
    lines = [{"prompt": f"Count to {n}.", "output": " ".join(map(str, range(n)))} for n in (30, 40, 50)]
    traces.write_text("".join(json.dumps(row) + "\n" for row in lines))
    small = str(models("Q4_0"))
    shared = ["--traces", str(traces), "--vocab", small, "--drafter", small, "-t", "1", "--answers", "3", "-n", "24"]
    capfd.readouterr()  # of making the model
    assert drafter_table.main([*shared, "--shares", "0", "0.5", "--json", str(out)]) == 0
    told = capfd.readouterr()
    assert [row.split()[0] for row in told.out.splitlines()[2:]] == ["none", "0.0%", "50.0%"]
    assert "llama_model_loader" not in told.err
    runs = json.loads(out.read_text())["runs"]
    assert list(runs) == ["none", "0", "0.5"]
    assert {run["model.eval"]["tokens"] for run in runs.values()} == {3 * 23}
    assert runs["none"]["model.eval"]["words"] == 0
    assert runs["0"]["model.eval"]["words"] > 0
    alone = tmp_path / "alone.json"
    assert drafter_table.main([*shared, "--shares", "0.5", "--json", str(alone)]) == 0
    assert json.loads(alone.read_text())["runs"]["0.5"] == runs["0.5"]  # what was read before changes nothing
