"""PaperPlanner: the published drafts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hd_edge import _native
from hd_edge.config import DraftConfig
from hd_edge.draft.paper import PaperPlanner
from hd_edge.draft.planner import NO_PREDICTION, Step

VOCAB = 100
TEXT = [1, 2, 3, 4, 5, 1, 2, 9, 9, 8, 1]


class Tier:
    """Knows the n-grams of a text; those of ``known`` keys are in memory, the rest must be fetched."""

    def __init__(self, name: str, text: list[int], complete: bool = True) -> None:
        self.name = name
        self.cache = _native.TierCache(VOCAB, 1 << 20)
        self.records = dict(_native.AnswerCounter(VOCAB).records(np.array(text, np.int32), 0)) if text else {}
        self.asked: list[list[int]] = []
        if complete:
            self.cache.set_complete()
            self.fetch(list(self.records))
            self.asked.clear()

    def fetch(self, keys) -> int:
        self.asked.append(list(keys))
        for key in keys:
            assert self.cache.put(key, self.records.get(key)) == ""
        return len(keys)


def planner(*tiers: Tier, text=TEXT, **given) -> PaperPlanner:
    made = PaperPlanner(DraftConfig("paper"), tiers=tiers, **given)
    made.begin(np.array(text, np.int32), NO_PREDICTION)
    return made


def plan(made: PaperPlanner, text=TEXT, rows=63, leaves=63):
    tree = made.plan(text[-1], rows, leaves)
    assert tree.check(VOCAB) == ""
    return tree


def paths(tree) -> list[list[int]]:
    """The tokens of each branch, first branch first."""
    found = []
    for leaf in set(range(len(tree))) - set(tree.parent.tolist()):
        path, node = [], leaf
        while node > 0:
            path.insert(0, int(tree.token[node]))
            node = int(tree.parent[node])
        found.append(path)
    return found


def test_it_drafts_the_latest_continuations_of_the_last_token():
    assert paths(plan(planner())) == [[2, 9, 9, 8], [2, 3, 4, 5]]
    assert len(plan(planner())) == 8  # they share a row


def test_number_length_and_order_are_what_is_asked_for():
    order = ("model", "context", "statistics")
    made = planner(Tier("model", [1, 6, 6, 6, 6]), drafts=2, length=2, order=order)
    assert paths(plan(made)) == [[6, 6], [2, 9]]


def test_seven_of_a_key_are_kept_and_the_oldest_goes():
    text = [token for i in range(10, 19) for token in (1, i, i, i, i)] + [1]
    tree = plan(planner(text=text), text)
    assert len(tree) == 29
    assert tree.token[1] == 18  # the latest first
    assert tree.child(0, 12) > 0 > tree.child(0, 11)
    assert len(plan(planner(text=text), text, rows=10)) == 10
    assert plan(planner(text=text), text, leaves=3).leaves == 3


def test_the_next_tier_is_asked_only_for_what_is_left():
    tiers = Tier("model", [1, 5, 6, 7, 8, 1, 5, 6, 7, 9]), Tier("statistics", [3, 1, 4, 4, 4, 4])
    text = [1, 2, 2, 2, 2, 3, 1]
    tree = plan(planner(*tiers, text=text), text)
    assert [tree.tier_of(tree.child(0, token)) for token in (2, 5, 4)] == [1, 2, 3]
    full = [token for i in range(10, 17) for token in (1, i, i, i, i)] + [1]
    assert plan(planner(*tiers, text=full), full).child(0, 5) < 0


def test_a_short_continuation_is_not_padded():
    assert paths(plan(planner(Tier("model", [1, 5, 6]), text=[1]), [1])) == [[5, 6]]


def test_records_that_are_not_in_memory_are_fetched_round_by_round():
    model, statistics = Tier("model", [7, 5, 6, 8, 9], complete=False), Tier("statistics", [], complete=False)
    made = planner(model, statistics, text=[3, 7])
    made.lookups.allow(10.0)
    assert paths(plan(made, [3, 7])) == [[5, 6, 8, 9]]
    assert model.asked[0] == [7]
    assert statistics.asked[0] == [(4 << 32) + 7, 7]


def test_a_cut_is_forgotten():
    text = [1, 2, 3, 4, 5, 1]
    made = planner(text=text)
    assert len(plan(made, text)) == 5
    made.begin(np.array([7, 1], np.int32), NO_PREDICTION)
    assert len(plan(made, [7, 1])) == 1


@pytest.mark.parametrize("tiers", [("context",), ("model",)])
def test_tiers_can_be_left_out(tiers):
    made = PaperPlanner(DraftConfig("paper", tiers=tiers))
    made.begin(np.array(TEXT, np.int32), NO_PREDICTION)
    assert len(plan(made)) == (8 if "context" in tiers else 1)


def test_output_tokens_enter_the_context_at_once():
    made = planner(text=[1])
    for token in (2, 3, 4, 5, 1):
        tree = made.plan(1, 1, 1)
        made.learn(Step(tree, [0], [token], 0.01))
    assert paths(plan(made, [1])) == [[2, 3, 4, 5]]
