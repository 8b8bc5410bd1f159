"""The replay scripts: their counts, by hand where possible, and the whole command on traces made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import replay as replaying
import simulate_drafts
from children import python
from simulate_drafts import cost_table

from hd_edge.draft.planner import root_alone


class Copier:
    """Drafts a chain of what it is told comes next, always ``rows`` of it."""

    def __init__(self, text, rows: int) -> None:
        self.text, self.rows, self.at = text, rows, 0
        self.learned: list[int] = []

    def begin(self, tokens, prediction) -> None:
        self.at = len(tokens)

    def plan(self, root, max_rows, max_leaves):
        tree = root_alone(root)
        for i in range(self.rows - 1):
            tree.add(int(self.text[min(self.at + i, len(self.text) - 1)]), i, 1, 0.9)
        return tree

    def learn(self, step) -> None:
        self.learned += step.tokens
        self.at += len(step.tokens)


def test_a_replay_emits_the_recorded_answer_and_adds_up():
    text = np.arange(100, dtype=np.int32)
    planner, tally = Copier(text, 4), replaying.Tally()
    replaying.replay(planner, replaying.Trace(text, 20, "a"), {1: 1.0, 4: 2.0}, tally)
    assert planner.learned == list(range(20, 100))
    assert tally.tokens == {"a": 80}
    assert tally.steps == {"a": 20}
    assert tally.speedup() == {"a": 2.0}
    assert tally.mean_accepted() == {"a": 4.0}


def test_rows_that_no_size_offers_are_padded_to_the_next():
    text = np.arange(50, dtype=np.int32)
    tally = replaying.Tally()
    replaying.replay(Copier(text, 3), replaying.Trace(text, 5, "a"), {1: 1.0, 4: 1.6, 8: 3.0}, tally)
    assert abs(tally.cost["a"] / tally.steps["a"] - 1.6) < 1e-9


@pytest.mark.parametrize(("text", "table"), [("1:1,4:1.6", {1: 1.0, 4: 1.6}), ("rows=8", {8: 1.0}), ("cpu2", None)])
def test_cost_tables_have_three_spellings(text, table):
    name, costs = cost_table(text)
    assert name == text
    assert costs[1] == 1.0 if table is None else costs == table


def write_traces(path: Path, answers: list[np.ndarray], prompt: int) -> None:
    tokens = np.concatenate(answers)
    np.savez(
        path,
        tokens=tokens,
        offsets=np.cumsum([0, *map(len, answers)]),
        prompt_len=np.full(len(answers), prompt),
        category=np.array(["even", "odd"] * len(answers))[: len(answers)],
        top_ids=np.tile(np.r_[tokens[1:], 0][:, None], (1, 8)).astype(np.int32),
        top_p=np.tile(np.array([0.9, 0.05, 0, 0, 0, 0, 0, 0], np.float32), (len(tokens), 1)),
    )


def test_the_command_replays_all_tiers_and_writes_json(tmp_path):
    rng = np.random.default_rng(1)
    phrases = [rng.integers(0, 400, 12).astype(np.int32) for _ in range(30)]

    def answers(n: int) -> list[np.ndarray]:
        return [np.concatenate([phrases[i] for i in rng.integers(0, 30, 12)]) for _ in range(n)]

    write_traces(tmp_path / "eval.npz", answers(12), 24)
    write_traces(tmp_path / "history.npz", answers(20), 24)
    write_traces(tmp_path / "corpus.npz", answers(20), 0)
    results = {}
    for tiers in ("c", "crms"):
        out = tmp_path / f"{tiers}.json"
        kinds = {"traces": "eval", "history": "history", "corpus": "corpus"}
        files = [f"--{kind}={tmp_path / name}.npz" for kind, name in kinds.items()]
        done = python(simulate_drafts.__file__, *files, "--tiers", tiers, "--cost", "laptop8", "--json", out)
        assert done.returncode == 0, done.stderr
        results[tiers] = json.loads(out.read_text())["cost"]["laptop8"]
    assert set(results["c"]["by_group"]) == {"even", "odd"}
    assert results["crms"]["speedup"] > 1.3 * results["c"]["speedup"] > 1.3
    assert 0 <= results["crms"]["worst_group"] <= results["crms"]["speedup"]
