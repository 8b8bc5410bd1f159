"""TreePlanner: when it plans, what it probes and measures."""

from __future__ import annotations

import machine as machines
import numpy as np
import pytest
from planned import FLAT, STEEP, VOCAB, decode, noise, planner, repeating

from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import NO_PREDICTION, Step, root_alone
from hd_edge.draft.tree_planner import TreePlanner


def test_steps_that_were_not_planned_are_known_to_the_next_plan():
    """Planning takes so long that it rests on noise; a copy of that noise is drafted all the same."""
    plan, rested = planner(), []
    rests = plan.guard.rests
    plan.guard.rests = lambda step: rested.append(rests(step)) or rested[-1]
    decode(plan, np.tile(noise(600), 2), 100, seconds=FLAT.__getitem__, planning=0.1)
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


@pytest.mark.parametrize("seed", range(3))
def test_a_gpu_that_records_its_graphs_is_not_slowed_down_and_copies_fast(seed):
    """There a single draft costs two forwards more than its rows."""
    gpu, plan = machines.recording_gpu(seed), TreePlanner(VOCAB, DraftConfig())
    chat = np.random.default_rng(seed).choice(VOCAB, 3000, p=np.arange(VOCAB, 0, -1) / (VOCAB * (VOCAB + 1) / 2))
    decode(plan, chat.astype(np.int32), 100, seconds=gpu.run)
    plain = 2900 * 0.003 * gpu.cost(1) * (1 + machines.SLOPE * gpu.context)
    assert gpu.now < 1.05 * plain
    gpu.now = 0.0
    rows = decode(plan, np.tile(noise(300), 10), 600, seconds=gpu.run)
    assert gpu.now < 0.5 * plain * 2400 / 2900, rows


def test_another_planners_tree_is_no_forward_over_one_row_while_planning_rests():
    plan = planner()
    plan.cost = CostCurve([(1, 0, 1.0, 1), (4, 0, 1.3, 15)])
    plan.begin(noise(100), NO_PREDICTION)

    def learn(rows: int, seconds: float) -> None:
        """A step over somebody else's draft, none of it right."""
        tree = root_alone(1)
        for node in range(rows - 1):
            tree.add(8, node)
        plan.plan(1, 16, 16)
        plan.learn(Step(tree, [0], [7], seconds))

    learn(1, 1.0)
    learn(4, 1.3)  # this one waits for the next forward over one row
    plan.guard.rests = lambda _: True
    for _ in range(3):
        learn(4, 1.3)
    assert list(plan.cost._near) == [1.0]
    assert plan.context == 105


def test_another_planners_tree_teaches_what_follows_its_root():
    """The drafter must not take the nodes of a tree that it did not grow for its own."""
    text = repeating()
    ours, theirs = planner(), planner()
    for plan in (ours, theirs):
        decode(plan, text, 100)
        plan.begin(text[:500], NO_PREDICTION)
    root = int(text[499])
    grown = ours.plan(root, 16, 8)
    assert len(grown) > 4
    wrong = root_alone(root)
    for node in range(5):
        wrong.add(int(text[500 + node]), node)
    ours.learn(Step(wrong, [0, 1, 2], text[500:503].tolist(), 1.0))
    theirs.plan(root, 1, 1)
    theirs.learn(Step(root_alone(root), [0], text[500:501].tolist(), 1.0))
    theirs._drafter.append(text[501:503])
    assert ours.calibration() == theirs.calibration()
    assert ours._drafter.check_integrity() == ""


def test_what_probing_costs_is_no_loss_of_drafting(monkeypatch):
    plan = planner(STEEP)
    monkeypatch.setattr(plan.cost, "probe", lambda step, most: 8 if step % 4 == 0 else 0)
    rows = decode(plan, noise(600), 100)
    assert sum(n == 8 for n in rows) > 100
    assert not plan.guard.paused
    assert plan.guard._loss < 2


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


def test_what_was_said_while_planning_rested_is_drafted_from():
    """Tokens are read when the next plan is made, and once; the context's length counts them before."""
    plan = TreePlanner(64, DraftConfig(), cost=CostCurve.of({1: 1.0, 4: 1.1}))
    plan.begin(np.array([1, 2, 3], np.int32), NO_PREDICTION)
    plan.guard.rests = lambda _: True
    said = [10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13]
    for root, token in zip([3, *said], said, strict=False):
        tree = plan.plan(root, 8, 4)
        assert tree.token.tolist() == [root]
        plan.learn(Step(tree, [0], [token], 1.0))
    assert plan.context == 3 + len(said)
    plan.guard.rests = lambda _: False
    assert plan.plan(13, 8, 4).token.tolist()[:4] == [13, 10, 11, 12]
    assert plan.context == 3 + len(said)
    plan.begin(np.array([1, 2, 3, *said, 10, 40], np.int32), NO_PREDICTION)
    assert plan.context == 5 + len(said)


def test_a_change_that_became_dear_is_priced_before_another_draft_is_sampled():
    plan = planner()
    plan.cost = CostCurve([(1, 0, 1.0, 1), (4, 0, 1.3, 15)])
    before, known = dict(zip(*map(np.ndarray.tolist, plan._current_prices()), strict=True)), plan.cost.samples
    plan.cost.observe(4, 0, 1.3)
    for seconds in (1.4, 1.0, 1.0):  # the first forward over one row again costs more
        plan.cost.observe(1, 0, seconds)
    after = dict(zip(*map(np.ndarray.tolist, plan._current_prices()), strict=True))
    assert plan.cost.samples == known
    assert after[1] == before[1]
    assert after[4] == pytest.approx(before[4] + 0.4, abs=0.05)


def test_another_number_of_threads_keeps_what_a_change_costs():
    curve = CostCurve([(1, 0, 1.0, 1), (4, 0, 1.3, 15)])
    curve.observe(1, 0, 1.0)
    curve.observe(4, 0, 1.3)
    for seconds in (1.4, 1.0, 1.0):
        curve.observe(1, 0, seconds)
    doubted = curve.doubted()
    doubted.observe(1, 0, 1.0)
    assert doubted.change == curve.change > 0.3
