"""Whether drafting pays in company: nobody plans while it does not, and it is found out when it does again."""

from __future__ import annotations

import pytest

from hd_edge.batching.shared_guard import FASTEST, LEAST, LONGEST_REST, REST, SharedGuard


def run(guard: SharedGuard, forwards: int, tokens: float, cost: float = 1.0, planning: float = 0.02, count: int = 8):
    """How many of the forwards were planned; in each, every conversation has the same."""
    planned = 0
    for _ in range(forwards):
        guard.begin()
        planned += not guard.rests
        for _ in range(0 if guard.rests else count):
            guard.step(tokens, cost, planning)
        guard.end()
    return planned


def test_planning_that_brings_nothing_ends_soon_and_is_tried_ever_more_rarely():
    guard = SharedGuard()
    assert run(guard, 40, tokens=1) < 26
    run(guard, 400, tokens=1)
    assert run(guard, 10 * LONGEST_REST, tokens=1) == 10


def test_rows_count_as_planning_does():
    guard = SharedGuard()
    run(guard, 40, tokens=1.5, cost=1.45, planning=0.04)
    assert not guard.rests
    run(guard, 40, tokens=1.5, cost=1.55, planning=0.04)
    assert guard.gain < 0


@pytest.mark.parametrize("count", [1, 8])
def test_what_gains_never_rests(count: int):
    assert run(SharedGuard(), 500, tokens=1.2, cost=1.1, count=count) == 500


def test_it_comes_back_when_drafts_gain_again():
    guard = SharedGuard()
    run(guard, 1000, tokens=1)
    guard.gain = LEAST
    assert run(guard, 6 * LONGEST_REST, tokens=3, cost=1.5) > 3 * LONGEST_REST
    assert guard.gain > 1


def test_a_forward_that_was_not_planned_or_failed_says_nothing():
    guard = SharedGuard()
    run(guard, 3, tokens=1, count=0)
    before = guard.gain
    guard.begin()
    guard.step(0, 5.0, 0.0)  # and the forward failed
    run(guard, 1, tokens=1 + before, planning=0.0)
    assert guard.gain == pytest.approx(before)
    assert REST > 1 > FASTEST
