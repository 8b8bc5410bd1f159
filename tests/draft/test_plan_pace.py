"""TreePlanner: when it plans, what it probes and measures."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from planned import FLAT, STEEP, VOCAB, decode, noise, planner, repeating

from hd_edge import _native
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.tree_planner import TreePlanner


def test_steps_that_were_not_planned_are_read_before_the_next_plan(monkeypatch):
    """Planning takes so long that it rests on noise; a copy of that noise is drafted all the same."""
    monkeypatch.setattr("hd_edge.draft.tree_planner.perf_counter", count(0.0, 0.05).__next__)
    plan, rested = planner(), []
    rests = plan.guard.rests
    plan.guard.rests = lambda step: rested.append(rests(step)) or rested[-1]
    decode(plan, np.tile(noise(600), 2), 100, seconds=FLAT.__getitem__)
    assert sum(rested) > 200
    assert plan._steps < 900
    assert plan._drafter.check_integrity() == ""


def test_what_a_change_of_size_costs_is_seen_also_while_planning_rests():
    plan, before = planner(), [1]  # rows of the forwards so far
    plan.cost = CostCurve([(1, 0, 1.0, 1), *((rows, 0, 1.3, 15) for rows in (2, 4, 8, 16))])
    plan.guard.rests = lambda step: step % 4 != 0

    def seconds(rows):
        before.append(rows)
        return 1.3 if rows > 1 else 1.0 if before[-2] == 1 else 1.2

    decode(plan, repeating(), 200, max_rows=16, seconds=seconds)
    assert plan.cost.change == pytest.approx(0.2)


def chain(plan: TreePlanner, rows: int) -> _native.DraftTree:
    """A draft of someone else's."""
    tree = _native.DraftTree()
    for node in range(rows + 1):
        tree.add(plan._last, node - 1)
    return tree


def test_another_planners_tree_is_no_forward_over_one_row_while_planning_rests():
    plan = planner()
    plan.cost = CostCurve([(1, 0, 1.0, 1), (4, 0, 1.3, 15)])
    plan.begin(noise(100))
    for rows, seconds in ((1, 1.0), (4, 1.3)):  # the second one waits for the next forward over one row
        plan.plan(1, 1)
        plan.learn(None, chain(plan, rows - 1), [0], [7], seconds)
    plan.guard.rests = lambda _: True
    for _ in range(3):
        plan.plan(16, 16)
        plan.learn(None, chain(plan, 3), [0], [7], 1.3)
    assert list(plan.cost._near) == [1.0]
    assert plan.context == 105


def test_what_probing_costs_is_no_loss_of_drafting(monkeypatch):
    plan = planner(STEEP)
    monkeypatch.setattr(plan.cost, "probe", lambda step: 8 if step % 4 == 0 else 0)
    rows = decode(plan, noise(600), 100)
    assert sum(n == 8 for n in rows) > 100
    assert not plan.guard.paused
    assert plan.guard._loss < 2


def test_a_cancelled_measurement_leaves_no_cost():
    """Aborted forwards return at once; taken for measurements they would make every row look free."""

    class Aborted:
        decodes = 0

        def decode(self, pending, tree):
            self.decodes += 1
            return 2

        def rollback(self):
            pass

    planner, verifier = TreePlanner(20, DraftConfig()), Aborted()
    planner.attach(verifier)
    planner.begin(np.array([1, 2, 3], np.int32))
    planner._steps = 100
    planner.prepare(16)
    assert verifier.decodes == 1
    assert len(planner.plan(16, 4)) == 1
    assert not planner.cost.known
    assert planner.cost.rows() == []


@pytest.mark.parametrize("bad", [{4: 10.0}, {}])
def test_a_size_that_was_measured_wrongly_or_not_at_all_is_tried_again(bad):
    stored = {1: 1.0, 2: 1.6, 8: 2.9, **bad}
    plan = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve([(n, 0, c, 1) for n, c in stored.items()]))
    text = np.tile(np.random.default_rng(1).permutation(VOCAB)[:50], 60).astype(np.int32)[:505]
    true = {n: 1.0 + 0.05 * n for n in range(1, 64)} | {1: 1.0}
    for _ in range(30):  # generations
        decode(plan, text, 60, seconds=true.__getitem__)
    rows, costs = plan.cost.relative(100)
    assert abs(dict(zip(rows.tolist(), costs.tolist(), strict=True))[4] - 1.2) < 0.2
