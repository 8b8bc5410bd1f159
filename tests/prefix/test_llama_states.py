"""Restarts of models whose memory cannot go back: tokens and logits behind a stored state are those of computing."""

from __future__ import annotations

import numpy as np
import prefix_llama
import pytest
from memories import SLIDING, STATES, settings_of, words
from prefix_llama import answer

from hd_edge.prefix.checkpoints import APART, CLOSE


def load(path, where, **more):
    return prefix_llama.load(path, **settings_of(path, prefix_cache=where, **more))


TEXT = [1, *words(1, 600)]


@pytest.fixture(params=[*STATES, *SLIDING])
def path(request, shapes):
    return shapes(request.param)


@pytest.fixture
def plain(path, opened):
    return opened(load(path, None))


def same(llm, plain, tokens):
    """Answers as a computed prompt is answered; returns how many tokens were known."""
    plain.reset()
    plain._ctx.kv_cache_clear()
    row, out, known = answer(llm, tokens)
    want, said, _ = answer(plain, tokens)
    if llm.exact:
        assert (row, out) == (want, said)
    else:  # cells are reused in another order, or matrices of llama.cpp's compute rows by their number
        assert np.allclose(np.frombuffer(row, np.single), np.frombuffer(want, np.single), rtol=0, atol=0.1)
    return known


def test_restarts_and_edits(path, plain, tmp_path):
    steps = [
        (TEXT, 0),
        ([*TEXT, *words(2, 60)], len(TEXT) - CLOSE),  # goes on
        ([*TEXT[:-3], *words(3, 60)], len(TEXT) - CLOSE),  # the end has changed
        ([*TEXT[:520], *words(4, 100)], 512),  # another question about the same text
        ([*TEXT[:300], 700, *TEXT[301:]], 128),  # an edit in the middle
        ([1, *words(5, 200)], 0),
    ]
    for tokens, least in steps:
        with load(path, tmp_path) as llm:
            known = same(llm, plain, tokens)
        assert least <= known < len(tokens)
        assert least or not known


def test_random_conversations_over_restarts_and_evictions(path, plain, tmp_path):
    rng = np.random.default_rng(11)
    texts, known = [[1, *words(6, 100)], [1, *words(7, 300)]], 0
    for turn in range(12):
        with load(path, tmp_path, prefix_cache_bytes=6_000_000) as llm:
            for _ in range(2):
                text = texts[int(rng.integers(len(texts)))]
                text[int(rng.integers(1, len(text) + 1)) :] = words(100 + turn, int(rng.integers(1, 150)))
                del text[900:]
                known += same(llm, plain, text)
        assert sum(file.stat().st_size for file in tmp_path.glob("*/*.kv")) <= 6_000_000
    assert known > 0


def test_conversations_in_turn(path, plain, opened):
    llm = opened(load(path, "memory"))
    prompts = [[1, *words(number, 300)] for number in range(4)]
    for prompt in prompts:
        assert same(llm, plain, prompt) == 0
    for prompt in prompts:
        assert same(llm, plain, [*prompt, *words(9, 30)]) >= len(prompt) - APART - CLOSE


def test_a_state_of_another_shape_is_computed_again(path, plain, opened, tmp_path):
    """A file that is whole and ours, but that llama.cpp refuses."""
    llm = opened(load(path, tmp_path))
    same(llm, plain, TEXT)
    for piece, _ in llm._prefixes.saver._chosen(llm.input_ids[: llm.n_tokens]):
        blob = llm.checkpoints.whole(piece.stop)
        llm._prefixes.memory.put(piece, blob[: len(blob) // 2])
    same(llm, plain, [1, *words(8, 50)])
    llm._prefixes.disk.close()
    assert same(llm, plain, TEXT) == 0


def test_a_loaded_state_is_not_kept(path, plain, tmp_path):
    with load(path, tmp_path) as llm:
        same(plain, plain, TEXT)
        held = plain.input_ids[: plain.n_tokens].tolist()
        llm.load_state(plain.save_state())
        assert same(llm, plain, [*held, *words(2, 80)]) == len(held)
    assert list(tmp_path.glob("*/*.kv")) == []


def test_another_context_size_takes_what_fits(path, opened, tmp_path):
    plain = opened(load(path, None, n_ctx=768))
    with load(path, tmp_path) as llm:
        same(llm, plain, TEXT[:300])
    with load(path, tmp_path, n_ctx=768) as llm:
        assert same(llm, plain, TEXT[:400]) >= 300 - APART - CLOSE


def test_little_behind_a_state(path, plain, tmp_path):
    """All of the window and of the recurrent state shows in the very next tokens."""
    with load(path, tmp_path) as llm:
        same(llm, plain, TEXT)
    for end in (512, len(TEXT) - CLOSE):
        with load(path, tmp_path) as llm:
            assert same(llm, plain, [*TEXT[:end], 700, 701]) == end
