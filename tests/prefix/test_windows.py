"""Sliding windows with a cache of full size: what is computed and drafted behind a prefix that was put back in pieces.

llama.cpp takes a cell that a window has left for free. A few tokens behind a prefix its window lies in it, and shows
whether all cells are there, in the order of a computed one.
"""

from __future__ import annotations

import random

import llama_cpp
import pytest
from company import Asked, in_company, integrity
from make_random_gguf import SHAPES
from memories import SLIDING, words
from one_model import ONE
from prefix_llama import SETTINGS, answer, dear, load
from said import drafted, said

from hd_edge import Engine
from hd_edge.backend.kv_state import KVState

TEXT = [1, *words(1, 500)]
CUTS = [2, 30, 63, 64, 65, 127, 128, 129, 190, 260, 490]  # around a window of 64 tokens, and pieces of 128
MADE = 110  # tokens


@pytest.fixture(params=SLIDING)
def path(request, shapes):
    return shapes(request.param)


@pytest.fixture
def afresh(path, opened):
    """``afresh(tokens, n)``: plain decoding in an empty context."""
    plain = opened(load(path, prefix_cache=None, draft="off"))

    def say(tokens, n=MADE):
        plain._forget()
        return said(plain, tokens, n)

    return say


@pytest.mark.parametrize("where", ["disk", "memory"])
@pytest.mark.slow
def test_drafted_text_is_plain_text_behind_a_restored_prefix(path, afresh, opened, tmp_path, where):
    """Two tokens behind it, and 110; and where the same conversation is then cut anywhere."""
    with load(path, prefix_cache=tmp_path) as llm:
        answer(llm, TEXT, 2)
    llm = opened(load(path, prefix_cache=tmp_path if where == "disk" else "memory"))
    if where == "memory":
        answer(llm, TEXT, 2)
    for cut in CUTS:
        answer(llm, [1, *words(2, 200)], 2)  # another conversation
        for behind, n in ((2, MADE), (100, 20)):
            tokens = [*TEXT[:cut], *words(cut, behind)]
            want = afresh(tokens, n)
            assert drafted(llm, tokens, want, n) == want
            assert llm.stats.cached_tokens >= cut or cut < 16  # fewer are computed
        assert llm.verifier.check_integrity() == ""
        earlier = [*TEXT[: cut // 2], *words(3, 2)]
        want = afresh(earlier, 20)
        assert drafted(llm, earlier, want, 20) == want


@pytest.mark.parametrize("window", [20, 100, 128, 300])
@pytest.mark.parametrize("name", SLIDING)
def test_windows_of_other_lengths(shapes, opened, tmp_path, name, window):
    """Shorter than a piece, no part of it, as long as it, longer."""
    settings = {"kv_overrides": {f"{SHAPES[name].kind}.attention.sliding_window": window}}
    with load(shapes(name), prefix_cache=tmp_path, **settings) as llm:
        assert llama_cpp.llama_model_n_swa(llm.model) == window
        answer(llm, TEXT, 2)
    plain = opened(load(shapes(name), prefix_cache=None, draft="off", **settings))
    for cut in (150, 256, 490):
        with load(shapes(name), prefix_cache=tmp_path, **settings) as llm:
            tokens = [*TEXT[:cut], 700, 701]
            plain._forget()
            want = said(plain, tokens)
            assert drafted(llm, tokens, want) == want
            assert llm.stats.cached_tokens == cut


def test_a_context_that_is_full_to_its_last_token(path, afresh, tmp_path):
    whole = [1, *words(4, SETTINGS["n_ctx"] - 1)]
    for known in (0, len(whole) - 1):
        with load(path, prefix_cache=tmp_path) as llm:
            made = said(llm, whole, 1)
            assert llm.stats.cached_tokens == known
            assert made == afresh(whole, 1)
            short = [*whole[:300], 500]
            want = afresh(short, 20)
            assert drafted(llm, short, want, 20) == want


def test_a_loaded_state_that_lacks_cells(path, afresh, opened, tmp_path):
    """llama_cpp loses them where it goes on from a state of its own: no piece is put behind cells that lack others."""
    theirs = llama_cpp.Llama(str(path), verbose=False, flash_attn=True, swa_full=True, n_ctx=1024)
    theirs.eval(TEXT[:300])
    theirs.load_state(theirs.save_state())
    theirs.eval(words(3, 230))
    state = theirs.save_state()
    theirs.close()
    tokens = [*TEXT[:262], *words(6, 20)]
    llm = opened(load(path, prefix_cache=tmp_path))
    answer(llm, tokens, 10)
    answer(llm, [1, *words(2, 200)], 2)
    llm.load_state(state)
    want = afresh([*tokens, 500, 501])
    assert drafted(llm, [*tokens, 500, 501], want, MADE) == want


@pytest.mark.slow
def test_conversations_of_an_engine_in_company(path, tmp_path, monkeypatch):
    """Drafts, compactions and restarts: tokens and logits of each are those of being alone."""
    choose = random.Random(9)
    asked = [
        Asked([*TEXT[: choose.randrange(20, 480)], *words(number, choose.randrange(1, 60))], 40, {"temp": 0.0})
        for number in range(12)
    ]
    with load(path, prefix_cache=None, draft="off") as alone:
        want = []
        for one in asked:
            alone._forget()
            want.append(one.of(alone))
    put, put_back = [], KVState.restore
    monkeypatch.setattr(KVState, "restore", lambda *about: put.append(put_back(*about)) or put[-1])
    for turn in range(3):
        settings = {"parallel": 2, "n_ctx": 1024, "n_cells": 1024, "prefix_cache": str(tmp_path)}
        with Engine(str(path), **settings, **ONE) as engine:
            dear(engine.model)
            for again in range(2):
                assert in_company(engine, asked, 10 * turn + again) == want
            assert integrity(engine) == ""
            assert engine._cache.compactions
        assert put and all(put)
        put.clear()
