"""The native drafter: trees are well formed whatever the text, and grow towards what the target says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hd_edge import _native

VOCAB = 64


def ids(tokens) -> np.ndarray:
    return np.array(tokens, np.int32)


def curve(drafter, table) -> None:
    drafter.set_cost(ids(list(table)), np.array(list(table.values()), np.float32))


@settings(max_examples=100, deadline=None)
@given(
    text=st.lists(st.integers(0, VOCAB - 1), min_size=2, max_size=120),
    rows=st.integers(1, 63),
    leaves=st.integers(1, 63),
    sizes=st.sets(st.integers(2, 63), max_size=6),
)
def test_every_tree_is_well_formed_and_within_its_limits(text, rows, leaves, sizes):
    drafter = _native.Drafter(VOCAB)
    curve(drafter, {1: 1.0, **{size: 1 + 0.01 * size for size in sorted(sizes)}})
    drafter.begin(ids(text[:1]))
    for at in range(1, len(text)):
        tree = drafter.grow(rows, leaves)
        assert tree.check(VOCAB) == ""
        assert len(tree) in {1, *sizes}
        assert len(tree) <= rows
        assert tree.leaves <= leaves
        assert tree.token[0] == text[at - 1]
        drafter.learn(tree, ids(text[at : at + 1]))
        drafter.append(ids(text[at : at + 1]))
    assert drafter.check_integrity() == ""


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.integers(0, 7), min_size=2, max_size=120),
    rows=st.integers(2, 24),
    share=st.floats(0, 1),
)
def test_a_tree_that_is_cut_is_one_grown_to_that_size(text, rows, share):
    cut, grown = _native.Drafter(VOCAB), _native.Drafter(VOCAB)
    for drafter in (cut, grown):
        drafter.begin(ids(text))
        curve(drafter, {rows: 1.0})
    tree = cut.grow(rows, 4)
    size = max(round(share * len(tree)), 1)
    part = cut.cut(size)
    curve(grown, {size: 1.0})
    same = grown.grow(size, 4)
    assert (part.token.tolist(), part.parent.tolist()) == (same.token.tolist(), same.parent.tolist())
    assert part.check(VOCAB) == ""
    cut.learn(part, ids([3]))
    grown.learn(same, ids([3]))
    assert cut.save_calibration() == grown.save_calibration()  # the cut tree is the one that is learned from
    assert len(cut.cut(size + 5)) == size


def test_nothing_grown_is_nothing_cut():
    drafter = _native.Drafter(VOCAB)
    drafter.begin(ids([1, 2]))
    assert len(drafter.cut(3)) == 0


def test_recycled_rows_are_drafted_from():
    drafter = _native.Drafter(VOCAB)
    curve(drafter, {1: 1.0, 4: 1.2})
    for _ in range(60):
        drafter.begin(ids([1, 2, 3]))
        tree = drafter.grow(63, 63)
        drafter.learn(tree, ids([40]))
        drafter.recycle_row(tree, 0, ids([40, 41]), np.array([0.9, 0.05], np.float32))
    assert 40 in tree.token.tolist()  # it never stood in the conversation
    drafter.forget_rows()
    drafter.begin(ids([1, 2, 3]))
    assert 40 not in drafter.grow(63, 63).token.tolist()


def test_it_must_be_told_the_conversation_first():
    with pytest.raises(ValueError, match="no tokens to draft after"):
        _native.Drafter(VOCAB).grow(4, 4)


def test_a_calibration_of_another_kind_is_refused():
    drafter = _native.Drafter(VOCAB)
    before = drafter.save_calibration()
    with pytest.raises(ValueError, match="bytes, this version's has"):
        drafter.load_calibration(b"not a calibration")
    assert drafter.save_calibration() == before


def test_a_calibration_carries_what_was_learned():
    rng = np.random.default_rng(3)
    text = np.tile(rng.integers(0, VOCAB, 40), 30).astype(np.int32)
    taught, fresh, loaded = (_native.Drafter(VOCAB) for _ in range(3))
    curve(taught, {1: 1.0, 4: 1.5})
    for at in range(80, len(text) - 8):
        taught.begin(text[:at])
        tree = taught.grow(63, 63)
        taught.learn(tree, text[at : at + len(tree.follow(text[at : at + 7].tolist()))])
    loaded.load_calibration(taught.save_calibration())
    expected = []
    for drafter in (fresh, loaded):
        curve(drafter, {4: 1.0})
        drafter.begin(text[:200])
        expected.append(float(drafter.grow(63, 63).probability.sum()))
    assert expected[1] > 3.5 > expected[0]


def test_the_calibration_of_before_there_was_a_drafter_is_taken():
    """The one that ships, and those in the stores of users."""
    from hd_edge.draft.tree_planner import default_calibration

    assert default_calibration().startswith(b"hdmix03\n")
    drafter = _native.Drafter(VOCAB)
    drafter.load_calibration(default_calibration())
    curve(drafter, {1: 1.0, 2: 1.1})
    drafter.begin(ids([1, 2, 3]))
    drafter.foretell(ids([]), 40, 0.9, _native.Said.first)
    tree = drafter.grow(2, 2)
    assert tree.token.tolist() == [3, 40]
    assert tree.tier_of(1) == _native.Tier.drafter
    assert 0.75 < tree.probability[1] < 0.99
    saved = drafter.save_calibration()
    assert saved.startswith(b"hdmix04\n")
    with pytest.raises(ValueError, match="bytes, this version's has"):
        drafter.load_calibration(b"hdmix03\n" + saved[8:])


@pytest.mark.parametrize(
    ("path", "token", "chance"),
    [([VOCAB], 1, 0.5), ([], VOCAB, 0.5), ([], -1, 0.5), ([], 1, 1.5), ([], 1, float("nan"))],
)
def test_what_is_foretold_is_checked(path, token, chance):
    drafter = _native.Drafter(VOCAB)
    with pytest.raises(ValueError, match="outside"):
        drafter.foretell(ids(path), token, chance, _native.Said.first)


def test_what_was_spent_is_a_number():
    drafter = _native.Drafter(VOCAB)
    drafter.begin(ids([1]))
    with pytest.raises(ValueError, match="spent"):
        drafter.grow(2, 2, float("nan"))
