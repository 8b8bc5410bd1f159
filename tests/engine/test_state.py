"""States: saved at any moment, loaded whole, and refused where they do not fit."""

from __future__ import annotations

import os
from contextlib import ExitStack
from copy import copy
from itertools import islice

import llama_cpp
import numpy as np
import pytest
from llama_cpp import LlamaDiskCache, LlamaRAMCache
from one_model import ALONE, OTHER, PROMPT, make, prompt_of, take

from hd_edge import ConfigError, ContextFullError, DecodeError, Llama
from hd_edge.check.adversary import Adversary
from hd_edge.engine.decode import Decoder


def test_state_of_a_generation_under_way(llm):
    """Saved between any two tokens: the generation goes on, and so does whoever loads the state."""
    tokens = prompt_of(llm)
    want = take(llm.generate(tokens, temp=0.0), 40)
    other = take(llm.generate(OTHER, temp=0.0), 20)
    for n in (1, 2, 3, 5, 8, 13, 21, 29):
        llm.reset()
        generation = llm.generate(tokens, temp=0.0)
        said = list(islice(generation, n))
        state = llm.save_state()
        assert state.n_tokens == len(tokens) + n - 1
        assert said + list(islice(generation, 5)) == want[: n + 5]
        generation.close()
        take(llm.generate(OTHER, temp=0.0), 3)
        llm.load_state(state)
        assert llm.verifier.check_integrity() == ""
        assert take(llm.generate(tokens + said, temp=0.0), 8) == want[n : n + 8]
        llm.load_state(state)
        assert take(llm.generate(OTHER, temp=0.0), 20) == other


@pytest.mark.parametrize("kind", ["tree", "granite-hybrid-tiny", "mamba2-tiny"])
@pytest.mark.parametrize("when", ["before", "within a forward"])
def test_state_of_a_cancelled_generation(llm, shapes, kind, when, monkeypatch):
    """What was cancelled is the generation: what it has said is fed to its end, and the wish is not forgotten."""
    fed = []
    with ExitStack() as parts:
        tokens = prompt_of(llm)
        if kind != "tree":
            llm = parts.enter_context(Llama(str(shapes(kind)), n_ctx=256, **ALONE))
            want = take(llm.generate(tokens, temp=0.0), 60)
            parts.enter_context(llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.8, 1)))
        feed, decode = Decoder._feed, llm._ctx.decode

        def counted(decoder, more):
            fed.append(list(decoder._refeed))
            feed(decoder, more)

        def cancelling(batch):
            if when != "before":
                llm.cancel()
            decode(batch)

        want = take(llm.generate(tokens, temp=0.0), 50)
        for n in range(1, 40):
            llm.reset()
            generation = llm.generate(tokens, temp=0.0)
            said = list(islice(generation, n))
            with monkeypatch.context() as patched:
                patched.setattr(Decoder, "_feed", counted)
                patched.setattr(llm._ctx, "decode", cancelling)
                if when == "before":
                    llm.cancel()
                before = len(fed)
                state = llm.save_state()
            assert state.n_tokens == llm.n_tokens == len(tokens) + n - 1
            if when == "before" or len(fed) > before:
                assert llm._life.cancelled
                assert len(list(generation)) < 16  # those that were verified already
            generation.close()
            llm.load_state(state)
            assert take(llm.generate(tokens + said, temp=0.0), 3) == want[n : n + 3]
    assert any(fed)


def test_state_with_branches_of_a_tree_is_cleaned_when_it_is_loaded(llm, monkeypatch):
    """As an older version saved it."""
    tokens = prompt_of(llm)
    want = take(llm.generate(OTHER, temp=0.0), 20)
    monkeypatch.setattr("hd_edge.engine.decode.Decoder.pause", lambda self: None)
    for n in (2, 5, 9, 14):
        llm.reset()
        generation = llm.generate(tokens, temp=0.0)
        list(islice(generation, n))
        state = llm.save_state()
        generation.close()
        llm.load_state(state)
        for sequence in range(1, llm._wanted.sequences):
            assert llama_cpp.llama_memory_seq_pos_max(llm._ctx.memory, sequence) == -1
        assert take(llm.generate(OTHER, temp=0.0), 20) == want


@pytest.mark.parametrize(
    "damage", [lambda s: setattr(s, "llama_state", b"no state"), lambda s: setattr(s, "llama_state_size", 40)]
)
def test_a_state_that_does_not_load_leaves_an_empty_context(llm, damage):
    want = take(llm.generate(OTHER, temp=0.0), 10)
    state = llm.save_state()
    damage(state)
    with pytest.raises(DecodeError, match="does not fit this model"):
        llm.load_state(state)
    assert llm.n_tokens == 0
    assert take(llm.generate(OTHER, temp=0.0), 10) == want


def test_a_state_of_a_larger_context_is_refused(llm, models, opened):
    llm.eval([300] * 400)
    state = llm.save_state()
    small = opened(make(models, n_ctx=256))
    with pytest.raises(ContextFullError, match="holds 400 tokens, this context 256"):
        small.load_state(state)
    assert len(small.input_ids) == 256


def test_llama_cpps_cache_goes_with_it(llm, base):
    texts = []
    for each in (llm, base):
        each.set_cache(LlamaRAMCache())
        texts.append([each(PROMPT, max_tokens=n, temperature=0.0)["choices"][0]["text"] for n in (5, 12, 7)])
        each.set_cache(None)
    assert all(theirs.startswith(ours) for ours, theirs in zip(*texts, strict=True))
    assert all(texts[0])


def test_a_torn_file_of_llama_cpps_cache_costs_a_prompt_and_no_answer(llm, tmp_path, caplog):
    want = llm(PROMPT, max_tokens=4, temperature=0.0)["choices"]
    llm.set_cache(LlamaDiskCache(str(tmp_path)))
    llm(PROMPT, max_tokens=4, temperature=0.0)
    (file,) = tmp_path.rglob("*.val")
    os.truncate(file, 1000)
    llm.reset()
    assert llm(PROMPT, max_tokens=4, temperature=0.0)["choices"] == want
    assert "a state that cannot be read (pickle data was truncated)" in caplog.text


@pytest.mark.parametrize("wrong", ["x", 5, True, {}, []])
def test_what_is_no_cache_is_refused(llm, wrong):
    with pytest.raises(ConfigError, match="is not a cache of llama_cpp"):
        llm.set_cache(wrong)
    assert llm(PROMPT, max_tokens=1)["choices"]


WRONG = {
    "n_tokens": (None, "x", 1 << 70),
    "input_ids": (None, np.full(512, -5, dtype=np.intc), np.full(512, 99999, dtype=np.intc)),
    "scores": (None,),
    "llama_state": (None, "text"),
    "llama_state_size": (None, -1),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_state_that_is_none_leaves_an_empty_context(llm, name):
    want = take(llm.generate(OTHER, temp=0.0), 10)
    for value in WRONG[name]:
        state = copy(llm.save_state())
        setattr(state, name, value)
        with pytest.raises((DecodeError, ContextFullError), match="state"):
            llm.load_state(state)
        assert take(llm.generate(OTHER, temp=0.0), 10) == want


def test_what_is_no_state_is_refused(llm):
    want = take(llm.generate(OTHER, temp=0.0), 10)
    for value in (None, 5, "state", {}):
        with pytest.raises(DecodeError, match="is no state, it lacks input_ids"):
            llm.load_state(value)
    assert take(llm.generate(OTHER, temp=0.0), 10) == want


POSITIONS = 17  # where those of the cells begin in a state of a "llama", 12 bytes each


@pytest.mark.parametrize("how", ["reset", "another prompt"])
def test_nothing_of_a_damaged_state_is_left_behind(llm, how):
    """A cell whose position is below 0 lies where neither a prompt nor a reset reaches."""
    want = take(llm.generate(OTHER, temp=0.0), 10)
    take(llm.generate(prompt_of(llm), temp=0.0), 3)
    whole = llm.save_state()
    for place in range(POSITIONS, POSITIONS + 5 * 12, 12):
        state = copy(whole)
        state.llama_state = whole.llama_state[: place + 3] + b"\xff" + whole.llama_state[place + 4 :]
        llm.load_state(state)
        if how == "reset":
            llm.reset()
        assert take(llm.generate(OTHER, temp=0.0), 10) == want
