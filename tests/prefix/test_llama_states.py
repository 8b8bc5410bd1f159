"""Restarts of models whose memory cannot go back: tokens and logits behind a stored state are those of computing."""

from __future__ import annotations

import numpy as np
import pytest
from prefix_llama import answer, dear

from hd_edge import Llama
from hd_edge.prefix.checkpoints import APART, CLOSE

SETTINGS = {"n_ctx": 1024, "n_batch": 128, "n_threads": 1, "n_threads_batch": 1, "store": None, "statistics": None}
STATES = ["qwen35-tiny", "qwen35moe-tiny", "lfm2-tiny", "mamba2-tiny", "granite-hybrid-tiny"]
SLIDING = ["gemma3-tiny", "gpt-oss-tiny"]


def load(path, where, **more):
    windowed = {"swa_full": False, "n_ubatch": 32} if any(name in str(path) for name in SLIDING) else {}
    llm = Llama(str(path), **{**SETTINGS, "prefix_cache": where, **windowed, **more})
    if llm._prefixes is not None:
        dear(llm)
    return llm


def words(seed, n):
    return np.random.default_rng(seed).integers(259, 1000, n).tolist()


TEXT = [1, *words(1, 600)]


@pytest.fixture(params=[*STATES, *SLIDING])
def path(request, shapes):
    return shapes(request.param)


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


def test_restarts_and_edits(path, tmp_path):
    plain = load(path, None)
    steps = [
        (TEXT, 0),
        ([*TEXT, *words(2, 60)], len(TEXT) - CLOSE),  # goes on
        ([*TEXT[:-3], *words(3, 60)], len(TEXT) - CLOSE),  # the end has changed
        ([*TEXT[:520], *words(4, 100)], 512),  # another question about the same text
        ([*TEXT[:300], 700, *TEXT[301:]], 128),  # an edit in the middle
        ([1, *words(5, 200)], 0),
    ]
    for tokens, least in steps:
        llm = load(path, tmp_path)
        known = same(llm, plain, tokens)
        assert least <= known < len(tokens)
        assert least or not known
        llm.close()
    plain.close()


def test_random_conversations_over_restarts_and_evictions(path, tmp_path):
    plain = load(path, None)
    rng = np.random.default_rng(11)
    texts, known = [[1, *words(6, 100)], [1, *words(7, 300)]], 0
    for turn in range(12):
        llm = load(path, tmp_path, prefix_cache_bytes=6_000_000)
        for _ in range(2):
            text = texts[int(rng.integers(len(texts)))]
            text[int(rng.integers(1, len(text) + 1)) :] = words(100 + turn, int(rng.integers(1, 150)))
            del text[900:]
            known += same(llm, plain, text)
        llm.close()
        assert sum(file.stat().st_size for file in tmp_path.glob("*/*.kv")) <= 6_000_000
    assert known > 0
    plain.close()


def test_conversations_in_turn(path):
    llm, plain = load(path, "memory"), load(path, None)
    prompts = [[1, *words(number, 300)] for number in range(4)]
    for prompt in prompts:
        assert same(llm, plain, prompt) == 0
    for prompt in prompts:
        assert same(llm, plain, [*prompt, *words(9, 30)]) >= len(prompt) - APART - CLOSE
    llm.close()
    plain.close()


def test_a_state_of_another_shape_is_computed_again(path, tmp_path):
    """A file that is whole and ours, but that llama.cpp refuses."""
    plain, llm = load(path, None), load(path, tmp_path)
    same(llm, plain, TEXT)
    for piece, _ in llm._prefixes.saver._chosen(llm.input_ids[: llm.n_tokens]):
        blob = llm.checkpoints.whole(piece.stop)
        llm._prefixes.memory.put(piece, blob[: len(blob) // 2])
    same(llm, plain, [1, *words(8, 50)])
    llm._prefixes.disk.close()
    assert same(llm, plain, TEXT) == 0
    llm.close()
    plain.close()


def test_a_loaded_state_is_not_kept(path, tmp_path):
    plain, llm = load(path, None), load(path, tmp_path)
    same(plain, plain, TEXT)
    held = plain.input_ids[: plain.n_tokens].tolist()
    llm.load_state(plain.save_state())
    assert same(llm, plain, [*held, *words(2, 80)]) == len(held)
    llm.close()
    assert list(tmp_path.glob("*/*.kv")) == []
    plain.close()


def test_another_context_size_takes_what_fits(path, tmp_path):
    plain = load(path, None, n_ctx=768)
    llm = load(path, tmp_path)
    same(llm, plain, TEXT[:300])
    llm.close()
    llm = load(path, tmp_path, n_ctx=768)
    assert same(llm, plain, TEXT[:400]) >= 300 - APART - CLOSE
    llm.close()
    plain.close()


def test_little_behind_a_state(path, tmp_path):
    """All of the window and of the recurrent state shows in the very next tokens."""
    plain, llm = load(path, None), load(path, tmp_path)
    same(llm, plain, TEXT)
    llm.close()
    for end in (512, len(TEXT) - CLOSE):
        llm = load(path, tmp_path)
        assert same(llm, plain, [*TEXT[:end], 700, 701]) == end
        llm.close()
    plain.close()
