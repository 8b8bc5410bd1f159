"""The cost curve: what rows cost against one row, on machines that other programs disturb. No wall clock."""

from __future__ import annotations

from collections import Counter

import machine as machines
import numpy as np
import pytest
from machine import Machine

from hd_edge.draft import cost
from hd_edge.draft.cost import CostCurve

SAW = {1: 0.010, 2: 0.016, 3: 0.021, 4: 0.017, 8: 0.029, 12: 0.041, 16: 0.042}
NOISES = [machines.quiet, machines.stalls, machines.shared, machines.bimodal, machines.heavy, machines.waking]


def stored(table=SAW) -> CostCurve:
    return CostCurve([(rows, 0, seconds, cost.KEPT) for rows, seconds in table.items()])


def relative(curve: CostCurve, context: int = 0) -> dict[int, float]:
    rows, costs = curve.relative(context)
    return {int(n): round(float(c), 3) for n, c in zip(rows, costs, strict=True)}


def decode(curve: CostCurve, machine: Machine, steps: int) -> None:
    """Steps of a decoder that chooses by the curve; each token is right with a chance that differs by step."""
    for step in range(steps):
        chance = machine.rng.beta(0.5, 0.7)
        offers = relative(curve, machine.context).items()
        best = max(offers, key=lambda offer: (1 - chance ** offer[0]) / (1 - chance) / offer[1])[0]
        rows = curve.probe(step) or best
        curve.observe(rows, machine.context, machine.run(rows))


def test_nothing_is_on_offer_before_anything_is_known():
    curve = CostCurve()
    assert not curve.known
    assert relative(curve) == {1: 1.0}
    curve.observe(1, 100, 0.01)
    assert not curve.known
    assert relative(curve) == {1: 1.0}


def test_costs_are_in_forwards_over_one_row():
    assert relative(stored()) == {1: 1.0, 2: 1.6, 3: 2.1, 4: 1.7, 8: 2.9, 12: 4.1, 16: 4.2}


@pytest.mark.parametrize("noise", NOISES)
def test_the_curve_is_right_whatever_else_the_machine_does(noise):
    """Of five runs the middle one: where two forwards of five take twelve times as long, one run can be unlucky."""
    runs = []
    for seed in range(5):
        machine, curve = Machine(noise, seed=seed), CostCurve()
        for machine.context in (100, 700):
            decode(curve, machine, 600)
        runs.append(relative(curve, machine.context))
    dear = 1.2 if noise in (machines.quiet, machines.shared, machines.waking) else 1.7
    for rows in machines.SAW:
        found = float(np.median([sizes.get(rows, np.inf) for sizes in runs]))
        true = machine.cost(rows) + (machines.CHANGE if rows > 1 else 0)
        assert 0.8 * true < found < dear * true, (rows, found, true)


def test_probes_cost_a_short_answer_little():
    machine, curve = Machine(machines.quiet), CostCurve()
    decode(curve, machine, cost.SPARED)
    assert not curve.known  # a very short one pays nothing
    decode(curve, machine, 100)
    assert machine.now < 108 * 0.005 * 2


def test_a_slow_model_learns_its_curve():
    machine, curve = Machine(machines.quiet, one=5.0), CostCurve()
    decode(curve, machine, 300)
    assert abs(relative(curve, 100)[4] - machine.cost(4) - machines.CHANGE) < 0.3


def test_the_slope_is_learned_from_steps_at_different_lengths():
    machine, curve = Machine(machines.quiet), CostCurve()
    for machine.context in (100, 800, 100, 800):
        decode(curve, machine, 200)
    assert abs(curve.slope - machines.SLOPE) < 0.3 * machines.SLOPE
    machine.context = 1600
    assert abs(relative(curve, 1600)[4] - machine.cost(4) - machines.CHANGE) < 0.1 * machine.cost(4)


def test_a_change_of_size_is_part_of_what_a_draft_costs():
    machine, curve = Machine(machines.quiet), CostCurve()
    decode(curve, machine, 200)
    assert abs(curve.change - machines.CHANGE) < 0.04


def test_a_gpu_that_records_graphs_pays_twice_for_the_way_back():
    """An H200: 0.35 forwards more for building, 1.1 for recording; behind a draft that way is owed already."""
    machine, curve = Machine(machines.quiet, one=0.003, change=0.35, record=1.1), CostCurve()
    decode(curve, machine, 600)
    assert abs(curve.change - 1.45) < 0.15
    fresh, behind = (dict(zip(*curve.relative(100, drafted=drafted), strict=True)) for drafted in (False, True))
    assert fresh[1] == behind[1] == 1.0
    assert fresh[4] - behind[4] == pytest.approx(curve.change, abs=1e-5)


def test_a_way_back_dearer_than_a_forward_hides_no_cost():
    """A small model on a GPU: the forwards right behind a draft agree with none before it, the third one does."""
    machine, curve = Machine(machines.quiet, change=1.6, record=1.7), CostCurve()
    decode(curve, machine, 3 * cost.SPARED)
    assert curve.known
    decode(curve, machine, 3000)
    assert abs(curve.change - 3.3) < 0.4


def test_a_run_of_drafts_probes_no_size_again_before_its_first_sample_counts():
    """With a drafter nearly every step drafts, and a sample waits for the next forward over one row."""
    machine, curve = Machine(machines.quiet), CostCurve()
    for _ in range(3):
        curve.observe(1, 100, machine.run(1))
    probed: Counter[int] = Counter()
    for step in range(cost.SPARED, 60):
        if size := curve.probe(step):
            probed[size] += 1
        curve.observe(size or 4, 100, machine.run(size or 4))
    assert len(probed) > 3
    assert max(probed.values()) <= 2


def test_where_the_way_back_is_dear_probes_are_rare():
    def probes(**machine) -> int:
        curve, run = CostCurve(), Machine(machines.quiet, **machine)
        sizes = []
        for step in range(200):
            sizes.append(curve.probe(step))
            curve.observe(sizes[-1] or 1, 100, run.run(sizes[-1] or 1))
        return sum(size > 1 for size in sizes)

    assert 2 <= probes(change=0.35, record=1.1) <= 0.4 * probes()


def test_a_slow_machine_moves_no_cost():
    curve = stored()
    for step in range(400):
        rows = (1, 1, 4, 8)[step % 4]
        curve.observe(rows, 0, SAW[rows] * (3.0 if 100 < step < 300 else 1.0))
    for rows, value in relative(curve).items():
        assert abs(value - SAW[rows] / SAW[1]) < 0.02 * value


def test_a_draft_that_falls_together_with_a_stall_does_not_count():
    curve = stored()
    for _ in range(10):
        curve.observe(1, 0, 0.010)
    assert curve.observe(4, 0, 0.9) == pytest.approx(2 * 1.7)  # what the guard hears
    curve.observe(1, 0, 0.020)  # the machine is slow now
    assert relative(curve) == relative(stored())


def test_a_size_that_became_dearer_is_noticed():
    curve = stored()
    for step in range(120):
        rows = (1, 1, 8)[step % 3]
        curve.observe(rows, 0, SAW[rows] * (1.15 if rows == 8 else 1.0))
    assert abs(relative(curve)[8] - 1.15 * 2.9) < 0.05


def test_no_size_costs_more_than_two_parts_of_it():
    wrong = stored({**SAW, 12: 0.9, 4: 0.3})
    assert relative(wrong) == {1: 1.0, 2: 1.6, 3: 2.1, 4: 3.1, 8: 2.9, 12: 5.8, 16: 4.2}


def test_one_row_costs_no_more_than_many():
    assert min(relative(stored({1: 0.050, 2: 0.012, 4: 0.015})).values()) == 1.0


def test_sizes_that_were_not_measured_are_on_offer_at_what_their_parts_cost():
    assert relative(stored({1: 0.010, 4: 0.017, 8: 0.030})) == {1: 1, 4: 1.7, 8: 3.0, 12: 4.7, 16: 6.0}


@pytest.mark.parametrize(("slope", "widest"), [(0.5, 16), (0.01, 63)])
def test_wide_sizes_are_sampled_only_on_a_flat_curve(slope, widest):
    curve = CostCurve()
    for step in range(400):
        rows = curve.probe(step) or 1
        curve.observe(rows, 100, 0.001 * (1 + slope * rows))
    assert max(relative(curve)) == widest


@pytest.mark.parametrize("begun", [CostCurve, lambda: stored().doubted()], ids=["new", "doubted"])
def test_wide_sizes_are_probed_once(begun):
    curve, asked = begun(), Counter()
    for step in range(400):
        rows = curve.probe(step) or 1
        asked[rows] += 1
        curve.observe(rows, 100, 0.001 * (1 + 0.5 * rows))
    assert [asked[rows] for rows in (12, 16, 24)] == [1, 1, 0]
    assert min(asked[rows] for rows in (2, 4, 8)) > 1


def test_long_drafted_stretches_are_interrupted_for_the_one_row_they_are_compared_with():
    curve = stored()
    curve.observe(1, 0, 0.010)
    asked = []
    for step in range(1, 200):
        rows = curve.probe(step) or 8
        asked.append(rows)
        curve.observe(rows, 0, SAW.get(rows, 0.025))
    assert 2 <= asked.count(1) <= 4


@pytest.mark.parametrize("share", [1.5, 3.0])
def test_what_a_store_tells_too_dear_is_found_out(share):
    """A decoder that believes it decodes plainly and so samples no other size."""
    true = {n: 1 + 0.15 * n for n in cost.SIZES}
    curve = CostCurve([(1, 0, 0.010, 9), *((n, 0, 0.010 * true[n] * share, 9) for n in cost.SIZES[1:9])])
    for step in range(cost.STORED_STEPS + 200):
        rows = curve.probe(step) or 1
        curve.observe(rows, 0, 0.010 * true[rows])
    for n in (2, 4, 8):
        assert curve.cost(n, 0) == pytest.approx(true[n] / true[1], rel=0.05)


def test_what_a_store_tells_is_sampled_once_where_it_is_right():
    true = {n: 1 + 0.15 * n for n in cost.SIZES}
    curve = CostCurve([(1, 0, 0.010 * true[1], 9), *((n, 0, 0.010 * true[n], 9) for n in cost.SIZES[1:9])])
    asked = Counter()
    for step in range(2000):
        rows = curve.probe(step) or 1
        asked[rows] += 1
        curve.observe(rows, 0, 0.010 * true[rows])
    assert asked == {1: 1999, 4: 1}


def test_stalls_do_not_contradict_a_store():
    curve = stored()
    for _ in range(3):
        for rows, seconds in ((1, 0.010), (8, 0.120), (1, 0.010)):
            curve.observe(rows, 0, seconds)
    assert curve.cost(8, 0) == pytest.approx(2.9)


def test_rows_survive_a_store():
    machine, curve = Machine(machines.quiet), CostCurve()
    for machine.context in (100, 700):
        decode(curve, machine, 100)
    again = CostCurve(curve.rows())
    for context in (0, 900):
        rows, costs = again.relative(context)
        expected = {int(n): curve.cost(int(n), context) for n in rows}
        np.testing.assert_allclose(costs, list(expected.values()), rtol=0.1)
        assert again.seconds(1, context) == pytest.approx(curve.seconds(1, context))
    assert relative(CostCurve([(7, 0, 1.0, 3), (4, 0, -1.0, 3), (4, -1, 1.0, 3)])) == {1: 1.0}


def test_a_fixed_curve_stays():
    curve = CostCurve.of({1: 1.0, 4: 1.5})
    for _ in range(50):
        curve.observe(4, 100, 9.0)
    assert relative(curve, 100) == {1: 1.0, 4: 1.5}


def test_the_table_says_what_is_not_measured():
    assert CostCurve([(1, 0, 0.002, 9)]).table(0) == [
        " 1 rows     2.00 ms   1.00",
        "more rows are not measured yet: other programs came between",
    ]
    lines = CostCurve([(1, 0, 0.002, 9), (4, 0, 0.003, 9)]).table(0)
    assert lines[1] == " 4 rows     3.00 ms   1.50"
    assert lines[-1].startswith("16 rows  unmeasured ")


def test_the_table_says_which_sizes_are_never_chosen():
    lines = stored().table(0)
    assert len(lines) == len(SAW)
    assert lines[0].split()[:4] == ["1", "rows", "10.00", "ms"]
    assert [line.split()[0] for line in lines if "never chosen: 4 rows" in line] == ["3"]


def test_a_doubted_curve_is_the_same_and_learns_at_once():
    curve = CostCurve([(1, 0, 0.010, 9), (4, 0, 0.012, 9), (8, 0, 0.015, 9)])
    doubted = curve.doubted()
    assert relative(doubted, 100) == pytest.approx(relative(curve, 100))
    for one in (curve, doubted):
        for rows, seconds in ((1, 0.010), (4, 0.030), (1, 0.010), (4, 0.030), (1, 0.010)):
            one.observe(rows, 0, seconds)
    assert (curve.cost(4, 0), doubted.cost(4, 0)) == pytest.approx((1.2, 3.0))
