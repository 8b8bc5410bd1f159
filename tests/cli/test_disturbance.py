"""What rows cost is told of the threads that were asked for, and not where other programs took the cores."""

from __future__ import annotations

import time

import pytest

import hd_edge
from hd_edge.cli import model_report, why
from hd_edge.cli.disturbance import Disturbance
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.tree_planner import TreePlanner


@pytest.fixture
def clocks(monkeypatch):
    """Seconds that pass, and seconds of processors."""
    now = {"perf_counter": 10.0, "process_time": 5.0}
    for name in now:
        monkeypatch.setattr(time, name, lambda name=name: now[name])
    return now


@pytest.mark.parametrize(("threads", "own", "told"), [(1, 9.5, ""), (2, 18.0, ""), (2, 11.0, "55%"), (1, 5.0, "50%")])
def test_a_share_of_the_time(clocks, threads, own, told):
    seen = Disturbance(threads)
    clocks["perf_counter"] += 10.0
    clocks["process_time"] += own
    assert bool(seen.told()) is bool(told)
    assert told in seen.told()


@pytest.fixture
def loaded(monkeypatch, clocks):
    """Stands for a model whose tokens take a second each, of which a processor has a half."""
    made = []

    class Planner(TreePlanner):
        def __init__(self):
            self.cost = CostCurve()

        context = 0

    class Loaded:
        tier, plain_reason = "context", ""

        def __init__(self, path, **settings):
            made.append(settings)
            self.n_threads, self.planner = settings.get("n_threads", 2), Planner()

        def generate(self, _):
            for rows, seconds in [(1, 1.0), (1, 1.0), (4, 0.1), (1, 1.0), (1, 1.0), (1, 1.0)] * 3:
                self.planner.cost.observe(rows, 8, seconds)
                clocks["perf_counter"] += 1.0
                clocks["process_time"] += 0.5
                yield 1

        def token_bos(self):
            return 1

        def cancel(self):
            pass

        def catch_up(self):
            pass

        def close(self):
            pass

    monkeypatch.setattr(hd_edge, "Llama", Loaded)
    return made


def test_rows_are_not_told_where_others_took_the_cores(loaded):
    assert model_report._cost("x.gguf", 1) == [
        "not measured: other programs are at work: 1 thread got 50% of the time; try again when they rest"
    ]
    assert loaded == [{"learn": False, "prefix_cache": None, "n_threads": 1, "n_threads_batch": 1}]
    assert model_report._cost("x.gguf", None)[0].startswith("not measured: other programs")
    assert "n_threads" not in loaded[1]


def test_the_verdict_says_so():
    told = "other programs are at work"
    assert why.verdict({}, 2.0, "", told) == ["The cost of rows cannot be told, other programs are at work."]
    assert why.verdict({}, 2.0, "it embeds", told) == ["This model decodes plainly: it embeds."]
