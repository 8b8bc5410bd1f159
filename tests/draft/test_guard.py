"""The guard: a steady loss pauses drafting, chance does not."""

from __future__ import annotations

import numpy as np

from hd_edge.draft import guard
from hd_edge.draft.guard import Guard


def run(watch: Guard, steps: int, gain: float, seed: int = 1) -> tuple[int, float]:
    """Drafted steps of cost 2 that emit 2 * gain tokens on average: how many were paused, forwards lost."""
    rng = np.random.default_rng(seed)
    paused, lost = 0, 0.0
    for _ in range(steps):
        if watch.paused:
            paused += 1
            watch.step(1, 1, 1.0)
            continue
        emitted = int(rng.poisson(2 * gain - 1)) + 1
        lost += 2.0 - emitted
        watch.step(4, emitted, 2.0)
    return paused, lost


def test_a_gain_is_never_paused_for_long():
    paused = sum(run(Guard(), 4000, 1.2, seed)[0] for seed in range(10))
    assert paused < 0.02 * 40_000


def test_a_loss_is_bounded():
    for seed in range(10):
        paused, lost = run(Guard(), 2000, 0.75, seed)
        assert paused > 1000
        assert lost < 0.05 * 2000


def test_it_comes_back():
    watch = Guard()
    run(watch, 500, 0.6)
    run(watch, guard.LONGEST_PAUSE, 1.4)
    assert run(watch, 400, 1.4)[0] == 0


def test_plain_steps_neither_gain_nor_lose():
    watch = Guard()
    for _ in range(1000):
        watch.step(1, 1, 5.0)
    assert not watch.paused


def test_planning_rests_while_drafts_bring_less_than_it_costs_and_wakes_at_once():
    watch = Guard()
    assert not any(watch.rests(step) for step in range(100))  # a conversation begins with the benefit of the doubt
    for _ in range(200):
        watch.step(1, 1, 1.0, 0.04)
    planned = [step for step in range(100) if not watch.rests(step)]
    assert planned == list(range(0, 100, guard.LONGEST_REST))
    watch.step(4, 5, 1.6, 0.04)  # a copy of earlier text begins
    assert not any(watch.rests(step) for step in range(100))


def test_it_rests_the_longer_the_more_steps_brought_nothing():
    watch, planned = Guard(), []
    for step in range(800):
        if watch.rests(step):
            watch.skip()
        else:
            planned.append(step)
            watch.step(1, 1, 1.0, 0.04)
    between = np.diff(planned)
    for rest in (guard.REST, 2 * guard.REST):
        assert guard.TRIALS - 2 <= np.sum(between == rest) <= guard.TRIALS
    assert np.all(between[-20:] == guard.LONGEST_REST)


def test_planning_does_not_rest_where_it_costs_nothing():
    watch = Guard()
    for _ in range(500):
        watch.step(1, 1, 1.0, 0.0)
        watch.step(4, 1, 1.1, 0.0)
    assert not watch.rests(1)


def test_while_drafting_pauses_a_planner_that_gained_goes_on_planning():
    """What it would have drafted teaches the mixer, and the next try begins wiser."""
    watch = Guard()
    for _ in range(200):
        watch.step(4, 3, 1.5, 0.04)
    while not watch.paused:
        watch.step(4, 1, 2.0, 0.04)
    assert not any(watch.rests(step) for step in range(guard.FIRST_PAUSE))
    for _ in range(guard.FIRST_PAUSE):
        watch.skip()
    assert not watch.paused


def test_an_interrupted_plan_is_no_dear_plan():
    watch = Guard()
    watch.step(1, 1, 1.0, 50.0)
    assert not watch.rests(1)


def test_planning_does_not_rest_while_it_gains_a_little():
    watch = Guard()
    rested = 0
    rng = np.random.default_rng(3)
    for step in range(4000):
        rested += watch.rests(step)
        drafts = rng.random() < 0.15
        cost = 1.25 if drafts else 1.0
        watch.step(2 if drafts else 1, int(rng.poisson(0.75)) + 1 if drafts else 1, cost, 0.03)
    assert rested < 0.1 * 4000


def test_what_drafting_has_earned_it_may_lose():
    def lost_before_a_pause(watch):
        for steps in range(1000):
            if watch.paused:
                return steps
            watch.step(4, 1, 2.0)
        return 1000

    fresh, proven = Guard(), Guard()
    run(proven, 1000, 1.4)
    assert guard.LOSS <= lost_before_a_pause(fresh) <= guard.LOSS + 1
    assert 1.9 * guard.LOSS <= lost_before_a_pause(proven) <= 2 * guard.LOSS + 1
