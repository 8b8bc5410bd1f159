"""scripts/benchmarks/drafter_retention.py: what steps cost by the table, what is retained, a run on tiny models."""

from __future__ import annotations

import json
from types import SimpleNamespace

import drafter_retention
import pytest

from hd_edge.draft.planner import Step

CURVE = {1: 1.0, 4: 1.06, 8: 1.2}


def test_a_step_costs_its_rows_and_its_words():
    reader = SimpleNamespace(reads=0)
    asking = SimpleNamespace(spent=0.0, tier=SimpleNamespace(reader=reader))
    learned: list[Step] = []
    planner = SimpleNamespace(learn=learned.append, asking=asking, cost=None)
    tally = drafter_retention.priced(SimpleNamespace(planner=planner), CURVE, 0.04)
    before = reader._clock()
    reader.reads += 3
    assert reader._clock() - before == pytest.approx(0.12)  # three words
    for rows, tokens, spent in ((1, [5], 0.0), (3, [5, 6], 0.08), (8, [5, 6, 7], 0.12), (16, [5], 0.0)):
        asking.spent = spent
        planner.learn(Step(range(rows), [], tokens, seconds=0.5, planning=0.2))
    assert (tally.tokens, tally.steps) == (7, 4)
    assert tally.cost == pytest.approx(1 + 1.14 + 1.32 + 1.2)
    assert [(step.seconds, step.planning) for step in learned] == [(cost, 0.0) for cost in (1.0, 1.06, 1.2, 1.2)]
    assert planner.cost.cost(4, 0) == pytest.approx(1.06)


def test_retention_is_of_the_gain_at_temperature_0():
    found = {0.0: {"gain": 0.5}, 0.7: {"gain": 0.4}, 1.0: {"gain": -0.1}}
    drafter_retention.retained(found)
    assert [one["retention"] for one in found.values()] == pytest.approx([1.0, 0.8, -0.2])
    lost = {0.0: {"gain": 0.0}, 1.0: {"gain": 0.1}}
    drafter_retention.retained(lost)
    assert [one["retention"] for one in lost.values()] == [None, None]


def test_temperature_0_is_measured_first(capsys):
    with pytest.raises(SystemExit):
        drafter_retention.main(["-m", "x.gguf", "--coarse", "Q2_K", "--temperatures", "0.7", "1"])
    assert "name it first, not 0.7" in capsys.readouterr().err


@pytest.mark.parametrize("drafter", ["file", "coarse"])
def test_a_run_tells_each_temperature(models, tmp_path, capfd, drafter):
    out = tmp_path / "retention.json"
    small = ["--drafter", str(models("Q4_0"))] if drafter == "file" else ["--coarse", "Q4_0"]
    shared = ["-m", str(models("Q8_0")), *small, "--count", "2", "-n", "12", "-c", "512", "-t", "1"]
    capfd.readouterr()  # of making the models
    assert drafter_retention.main([*shared, "--temperatures", "0", "1", "--json", str(out)]) == 0
    told = capfd.readouterr()
    assert told.out.splitlines()[0].startswith("temperature  answers")
    assert "llama_model_loader" not in told.err
    found = json.loads(out.read_text())["temperatures"]
    assert list(found) == ["0", "1"]
    for one in found.values():
        assert one["answers"] == 2
        for arm in drafter_retention.ARMS:
            assert 0 < one[arm]["speedup"] <= one[arm]["tokens_per_forward"]
