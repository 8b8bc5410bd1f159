"""Rows of the tiers' files as Python sees them: round trips, merging, counting of an answer, the cache."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hd_edge import _native

N_VOCAB = 300
tokens = st.lists(st.integers(0, N_VOCAB - 1), max_size=64)
few_tokens = st.lists(st.sampled_from([0, 1, N_VOCAB - 1]), max_size=64)


def ids(values):
    return np.array(values, dtype=np.int32)


def answer_rows(text, start=0):
    return dict(_native.AnswerCounter(N_VOCAB).records(ids(text), start))


@given(tokens | few_tokens, st.integers(0, 10))
def test_rows_hold_exactly_the_ngrams_of_the_answer(text, start):
    expected = {}
    for i in range(max(start, 1), len(text)):
        for length in (1, 2, 3, 4, 6):
            if length <= i:
                expected.setdefault(tuple(text[i - length : i]), set()).add(text[i])
    found = {}
    for key, blob in answer_rows(text, start).items():
        for context, total, followers in _native.decode_record(key, blob, N_VOCAB):
            assert key == _native.ngram_key(ids(context), len(context))
            assert all(count == 1 for _, count in followers)
            assert total == len(expected[context])
            found[context] = {token for token, _ in followers}
    assert found.keys() == expected.keys()
    assert all(followers <= expected[context] for context, followers in found.items())
    assert all(len(followers) == min(8, len(expected[context])) for context, followers in found.items())


@given(tokens | few_tokens)
def test_unpacked_row_packs_to_the_same_bytes(text):
    for key, blob in answer_rows(text).items():
        lists = _native.decode_record(key, blob, N_VOCAB)
        assert _native.encode_record(key, lists[::-1], N_VOCAB) == blob


@given(few_tokens, few_tokens)
def test_merging_adds_counts_up(first, second):
    older, newer = answer_rows(first), answer_rows(second)
    for key in older.keys() & newer.keys():
        total, merged = _native.merge_records(key, older[key], newer[key], N_VOCAB)
        counts = {}
        for blob in (older[key], newer[key]):
            for context, _, followers in _native.decode_record(key, blob, N_VOCAB):
                for token, count in followers:
                    counts[context, token] = counts.get((context, token), 0) + count
        lists = _native.decode_record(key, merged, N_VOCAB)
        assert total == lists[0][1] == _native.record_total(key, merged, N_VOCAB)
        assert {(c, token): n for c, _, followers in lists for token, n in followers} == counts


@given(st.binary(max_size=200), st.integers(-(2**62), 2**62))
def test_any_bytes_are_a_row_or_a_value_error(blob, key):
    try:
        lists = _native.decode_record(key, blob, N_VOCAB)
    except ValueError:
        assert _native.TierCache(N_VOCAB, 1 << 16).put(key, blob) != "" or not blob
        return
    for context, _total, followers in lists:
        assert all(0 <= token < N_VOCAB for token in context)
        assert all(0 <= token < N_VOCAB and count > 0 for token, count in followers)


@pytest.mark.parametrize(
    ("context", "total", "followers"),
    [
        ((), 1, [(1, 1)]),
        ((1, 2, 3, 4, 5), 1, [(1, 1)]),
        ((1, N_VOCAB), 1, [(1, 1)]),
        ((1, -1), 1, [(1, 1)]),
        ((1, 2), 1, []),
        ((1, 2), 1, [(N_VOCAB, 1)]),
        ((1, 2), 1, [(3, 0)]),
        ((2, 1), 1, [(3, 1)]),
    ],
)
def test_encode_refuses_what_is_out_of_range(context, total, followers):
    with pytest.raises(ValueError, match=r"key|record|range"):
        _native.encode_record(2 << 32 | 2, [(context, total, followers)], N_VOCAB)


def test_missing_shorter_keys_are_made_up():
    key = 4 << 32 | 4
    blob = _native.encode_record(key, [((1, 2, 3, 4), 7, [(5, 3), (6, 2)])], N_VOCAB)
    assert [context for context, _, _ in _native.decode_record(key, blob, N_VOCAB)] == [
        (3, 4),
        (2, 3, 4),
        (1, 2, 3, 4),
    ]


def test_cache_tells_unknown_from_absent():
    cache = _native.TierCache(N_VOCAB, 1 << 20)
    text = ids([5, 6, 7, 8, 5, 6, 7, 9])
    assert cache.find(text[:2], 2) is None
    for key, blob in _native.AnswerCounter(N_VOCAB).records(text, 0):
        assert cache.put(key, blob) == ""
    total, followers = cache.find(text[:3], 3)
    assert total == 2
    assert {token for token, _ in followers} == {8, 9}
    assert cache.find(ids([6, 6, 7]), 3) == (0, [])
    assert cache.put(3 << 32 | 1, None) == ""
    assert cache.find(ids([2, 1]), 2) == (0, [])
    assert cache.known(3 << 32 | 1)
    cache.clear()
    assert not cache.known(3 << 32 | 1)


def test_answer_with_a_foreign_token_is_refused():
    with pytest.raises(ValueError, match="outside the vocabulary"):
        _native.AnswerCounter(N_VOCAB).records(ids([1, N_VOCAB]), 0)
