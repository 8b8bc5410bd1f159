"""The cost curve: medians of samples that a busy machine cannot move."""

from __future__ import annotations

import numpy as np

from hd_edge import cost
from hd_edge.cost import CostCurve

SAW = {1: 0.010, 2: 0.016, 3: 0.021, 4: 0.017, 8: 0.029}


def measured(table=SAW) -> CostCurve:
    return CostCurve([(rows, 0, seconds, cost.KEPT) for rows, seconds in table.items()])


def relative(curve: CostCurve, context: int = 100) -> dict[int, float]:
    rows, costs = curve.relative(context)
    return {int(n): round(float(c), 3) for n, c in zip(rows, costs, strict=True)}


def test_nothing_is_on_offer_before_anything_is_known():
    curve = CostCurve()
    assert not curve.known
    assert relative(curve) == {1: 1.0}
    curve.observe(1, 100, 0.01)
    assert not curve.known
    assert relative(curve) == {1: 1.0}


def test_costs_are_in_forwards_over_one_row():
    assert relative(measured()) == {1: 1.0, 2: 1.6, 3: 2.1, 4: 1.7, 8: 2.9}


def test_a_slow_machine_moves_no_ratio():
    curve = measured()
    for step in range(400):
        rows = (1, 4, 4, 8)[step % 4]
        curve.observe(rows, 100, SAW[rows] * (3.0 if 100 < step < 300 else 1.0))
    for rows, value in relative(curve).items():
        assert abs(value - SAW[rows] / SAW[1]) < 0.1 * value
    assert curve.slowness == 1.0


def test_single_hiccups_do_not_count():
    curve = measured()
    rng = np.random.default_rng(1)
    for step in range(300):
        rows = (1, 4)[step % 2]
        curve.observe(rows, 100, SAW[rows] * (20.0 if rng.random() < 0.1 else 1.0))
    assert abs(relative(curve)[4] - 1.7) < 0.1


def test_a_size_that_became_dearer_is_noticed():
    curve = measured()
    for step in range(80):
        rows = (1, 1, 4)[step % 3]
        curve.observe(rows, 100, SAW[rows] * (2.0 if rows == 4 else 1.0))
    assert abs(relative(curve)[4] - 3.4) < 0.2


def test_long_contexts_have_their_own_bucket_and_start_from_the_nearest():
    curve = measured()
    assert relative(curve, 3000) == relative(curve, 100)
    for step in range(60):
        rows = (1, 4)[step % 2]
        curve.observe(rows, 3000, {1: 0.012, 4: 0.030}[rows])
    assert abs(relative(curve, 3000)[4] - 2.5) < 0.2
    assert relative(curve, 100)[4] == 1.7


def test_measuring_tries_the_sizes_that_fit_and_ends_in_time():
    clock = [0.0]
    tried = []

    def run(rows: int) -> None:
        tried.append(rows)
        clock[0] += 0.1 * rows

    curve = CostCurve()
    curve.measure(run, 100, 12, clock=lambda: clock[0])
    assert set(tried) <= {1, 2, 3, 4, 5, 6, 8, 12}
    assert clock[0] <= cost.BUDGET + 0.1
    assert curve.known
    assert all(abs(value - rows) < 0.01 for rows, value in relative(curve).items())


def test_wide_sizes_are_measured_only_on_a_flat_curve():
    for slope, widest in ((0.5, 16), (0.01, 63)):
        clock = [0.0]

        def run(rows: int, clock=clock, slope=slope) -> None:
            clock[0] += 0.001 * (1 + slope * rows)

        curve = CostCurve()
        curve.measure(run, 100, 63, clock=lambda clock=clock: clock[0])
        assert max(relative(curve)) == widest


def test_rows_survive_a_store():
    curve = measured()
    again = CostCurve(curve.rows())
    assert relative(again) == relative(curve)
    assert relative(CostCurve([(7, 0, 1.0, 3), (4, 0, -1.0, 3), (4, -1, 1.0, 3)])) == {1: 1.0}


def test_a_fixed_curve_stays():
    curve = CostCurve.of({1: 1.0, 4: 1.5})
    for _ in range(50):
        curve.observe(4, 100, 9.0)
    assert relative(curve) == {1: 1.0, 4: 1.5}


def test_the_table_says_which_sizes_are_never_chosen():
    lines = measured().table(100)
    assert len(lines) == len(SAW)
    assert lines[0].split()[:4] == ["1", "rows", "10.00", "ms"]
    assert [line.split()[0] for line in lines if "never chosen: 4 rows" in line] == ["3"]


def test_one_row_that_seems_to_cost_more_than_several_is_measured_again():
    curve = CostCurve([(1, 0, 5.0, 3), (2, 0, 1.2, 3), (4, 0, 1.5, 3)])
    asked = {step: curve.probe(0, step) for step in range(200)}
    assert set(asked.values()) == {0, 1}
    for _ in range(12):
        for rows, seconds in ((2, 1.2), (4, 1.5), (2, 1.2), (4, 1.5), (1, 1.0)):
            curve.observe(rows, 0, seconds)
    assert curve.seconds(1, 0) < curve.seconds(2, 0)
    assert 1 not in {curve.probe(0, step) for step in range(200)}
