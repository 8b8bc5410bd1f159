"""Planner of one conversation among several: what planning costs is counted against the one that plans."""

from __future__ import annotations

import numpy as np
import pytest

from hd_edge.batching.planner import SharedPlanner
from hd_edge.config import DraftConfig
from hd_edge.draft.planner import NO_PREDICTION, Step

STEPS = 80  # guesses that bring nothing are still trusted a little behind so many


def planner() -> SharedPlanner:
    made = SharedPlanner(64, DraftConfig(), calibration=None, tiers=())
    made.begin(np.arange(32, dtype=np.int32), NO_PREDICTION)
    return made


@pytest.mark.parametrize(("share", "rests"), [(1.0, 0), (1e-9, 1)])
def test_planning_counts_against_a_share_of_the_forward(share: float, rests: int):
    one = planner()
    root = 31
    for step in range(STEPS):
        one.company.begin()
        one.propose(root, 8, 4)
        tree = one.take(root, 0)
        root = (root * 5 + step) % 64  # nothing that a context foretells
        one.learn_shared(Step(tree, [0], [root], 1.0, 0.0, None), price=0.1, share=share)
        one.company.end()
    assert (one.company.gain <= 0) == bool(rests)


def test_a_draft_that_is_wanted_whole_is_not_grown_again():
    one = planner()
    one.begin(np.array([1, 2, 3, 4, 5, 6] * 8, np.int32), NO_PREDICTION)
    chances = one.propose(6, 8, 4)
    assert len(chances) > 1
    assert one.take(6, len(chances)) is one.take(6, len(chances))
    assert len(one.take(6, 1)) == 2
