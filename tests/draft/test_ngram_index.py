"""The context tier through the Python border: what it keeps of a conversation, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hd_edge import _native

VOCAB = 50


def ids(tokens) -> np.ndarray:
    return np.array(tokens, np.int32)


conversations = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(turns=st.lists(conversations, min_size=1, max_size=5), keep=st.integers(0, 60))
def test_any_turn_of_a_conversation_leaves_the_index_of_its_tokens(turns, keep):
    drafter = _native.Drafter(VOCAB)
    said: list[int] = []
    for turn in turns:
        said = said[:keep] + turn
        drafter.begin(ids(said[:-1]))
        drafter.append(ids(said[-1:]))
        assert drafter.check_integrity() == ""
        assert len(drafter) == len(said)


def test_a_cut_conversation_drafts_as_a_fresh_one():
    rng = np.random.default_rng(1)
    long = rng.integers(0, 6, 400).astype(np.int32)
    other = np.concatenate([long[:200], rng.integers(0, 6, 100).astype(np.int32)])
    used, fresh = _native.Drafter(VOCAB), _native.Drafter(VOCAB)
    for drafter in (used, fresh):
        drafter.set_cost(ids([1, 16]), np.array([1, 1.0], np.float32))
    used.begin(long)
    used.begin(other)
    fresh.begin(other)
    a, b = used.grow(16, 16), fresh.grow(16, 16)
    assert a.token.tolist() == b.token.tolist()
    assert a.probability.tolist() == b.probability.tolist()


@pytest.mark.parametrize("method", ["begin", "append", "set_prediction"])
@pytest.mark.parametrize("token", [-1, VOCAB, 2**31 - 1])
def test_ids_outside_the_vocabulary_are_refused(method, token):
    drafter = _native.Drafter(VOCAB)
    with pytest.raises(ValueError, match=rf"token {token} at index 1 is outside \[0, {VOCAB}\)"):
        getattr(drafter, method)(ids([3, token]))
    assert drafter.check_integrity() == ""


def test_memory_is_bounded_by_the_tokens_it_may_index():
    drafter = _native.Drafter(1000, max_tokens=256)
    rng = np.random.default_rng(2)
    drafter.append(rng.integers(0, 1000, 1000).astype(np.int32))
    before = drafter.memory_bytes()
    drafter.append(rng.integers(0, 1000, 20_000).astype(np.int32))
    assert drafter.memory_bytes() - before < 20_000 * 8
    assert drafter.check_integrity() == ""
