"""TreePlanner: the decode loop's view of drafting, with a curve of our own and no model."""

from __future__ import annotations

import numpy as np
import pytest
from planned import FLAT, STEEP, VOCAB, decode, noise, planner, repeating

from hd_edge import _native
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import NO_PREDICTION, Step
from hd_edge.draft.tree_planner import TreePlanner


def test_repeating_text_needs_few_forwards():
    text = repeating()
    assert len(decode(planner(), text, 100)) < 0.4 * (len(text) - 100)


def test_noise_is_not_drafted_on_a_steep_curve():
    assert sum(n > 1 for n in decode(planner(STEEP), noise(), 100)) <= 2


def test_noise_never_costs_much_on_a_flat_curve():
    rows = decode(planner(), noise(3000), 100)
    assert 2900 / sum(FLAT[n] for n in rows) > 0.98
    assert len(rows) <= 2900


@pytest.mark.parametrize("max_rows", [1, 2, 5])
def test_no_tree_is_larger_than_the_room_left(max_rows):
    assert max(decode(planner(), repeating(), 100, max_rows)) <= max_rows


def test_without_a_known_curve_nothing_is_drafted_but_probes():
    rows = decode(TreePlanner(VOCAB, DraftConfig()), repeating(), 100, seconds=lambda _: 0.0)
    assert set(rows) == {1}


def test_a_prediction_is_drafted_from():
    answer = np.random.default_rng(3).permutation(VOCAB)[:200].astype(np.int32)
    text = np.concatenate([np.array([299, 298], np.int32), answer])
    forwards = []
    for given in (False, True):
        plan = planner()
        decode(plan, repeating(), 100)  # a mixer that knows the business
        plan.begin(text[:2], answer if given else NO_PREDICTION)
        forwards.append(len(decode(plan, text, 2, begin=False)))
    assert forwards[1] < 0.5 * forwards[0]


def test_a_generation_closed_in_the_middle_of_a_path_leaves_the_tokens_that_were_drawn():
    text = repeating()
    plan = planner()
    decode(plan, text, 100)
    plan.begin(text[:500], NO_PREDICTION)
    tree = plan.plan(int(text[499]), 63, 16)
    path = tree.follow(text[500:].tolist())
    assert len(path) > 3
    plan.learn(Step(tree, path[:3], text[500:502].tolist(), 1.0))
    plan.begin(text[:502], NO_PREDICTION)
    assert plan._drafter.check_integrity() == ""
    assert len(plan._drafter) == 502


def test_the_context_tier_can_be_left_out():
    assert set(decode(planner(tiers=("model",)), repeating(), 100)) == {1}


# -- the tiers in the store ----------------------------------------------------------------------------------------


class Rows:
    """A tier whose file is a dict; counts what is asked of it."""

    def __init__(self, name: str, rows: dict[int, bytes]) -> None:
        self.name = name
        self.cache = _native.TierCache(VOCAB, 1 << 20)
        self.rows = rows
        self.asked: list[int] = []

    def fetch(self, keys) -> int:
        self.asked += keys
        for key in keys:
            assert self.cache.put(key, self.rows.get(key)) == ""
        return len(keys)


def said_before(text: np.ndarray, name: str = "model") -> Rows:
    return Rows(name, dict(_native.AnswerCounter(VOCAB).records(text, 0)))


@pytest.mark.parametrize("name", ["model", "statistics"])
def test_a_lower_tier_drafts_what_it_knows(name):
    answer = np.random.default_rng(4).permutation(VOCAB)[:250].astype(np.int32)
    tier = said_before(answer, name)
    forwards = {}
    for tiers in ((), (name,)):
        plan = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve.of(FLAT), tiers=[tier] if tiers else [])
        plan.lookups._each = 0.0001
        forwards[tiers] = len(decode(plan, answer, 10))
    assert forwards[(name,)] < 0.7 * forwards[()]
    assert len(tier.asked) == len(set(tier.asked))  # no row is asked for twice


# -- adversaries: nothing that is drafted may cost more than two percent -------------------------------------------

CURVES = {
    "cpu": {1: 1, 2: 1.59, 3: 2.35, 4: 1.57, 8: 2.81, 12: 4.1, 16: 4.2},
    "steep": {1: 1, 2: 2.3, 4: 3.2, 8: 3.9, 16: 5.0},
    "laptop": {1: 1, 2: 1.08, 4: 1.2, 8: 1.45, 12: 1.8, 16: 2.2},
}


def zipf(seed: int, n: int = 2100) -> np.ndarray:
    """Text without order whose tokens are as unevenly frequent as words."""
    weights = 1 / np.arange(1, VOCAB + 1)
    return np.random.default_rng(seed).choice(VOCAB, n, p=weights / weights.sum()).astype(np.int32)


def nonsense() -> Rows:
    """A store that is sure of itself and always wrong: after every token of the text, one that never follows."""
    follower = np.random.default_rng(8).permutation(VOCAB).astype(np.int32)
    rows = {}
    for token in range(VOCAB):
        rows[token] = _native.encode_record(token, [((token,), 900, [(int(follower[token]), 900)])], VOCAB)
    return Rows("model", rows)


def deceiving() -> np.ndarray:
    """Repeats itself just long enough to be believed, then goes on differently, over and over."""
    rng = np.random.default_rng(9)
    said = [list(rng.integers(0, VOCAB, 5)) for _ in range(40)]
    text = []
    while len(text) < 2100:
        text += [*said[rng.integers(0, 40)][:3], *rng.integers(0, VOCAB, 2)]
    return np.array(text[:2100], np.int32)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("case", ["noise", "words", "deceiving", "store of another model", "store of nonsense"])
def test_drafting_never_costs_more_than_two_percent(case, curve):
    text = {"noise": noise(2100), "deceiving": deceiving()}.get(case, zipf(6))
    tiers = {"store of another model": said_before(zipf(7)), "store of nonsense": nonsense()}
    costs = CURVES[curve]
    plan = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve.of(costs), tiers=[tiers[case]] if case in tiers else [])
    rows = decode(plan, text, 100)
    assert 2000 / sum(costs[n] for n in rows) >= 0.98
