"""States of models with a sliding window: what is computed behind a loaded one has the bits that it has without."""

from __future__ import annotations

from copy import copy

import llama_cpp
import pytest
from memories import SLIDING, words
from said import drafted, said

from hd_edge import Llama
from hd_edge.check.adversary import Adversary

SETTINGS = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1}
OURS = {"store": None, "statistics": None, "prefix_cache": None}
LONG = 300  # tokens, of which a window has left many


def make(shapes, name, **more):
    return Llama(str(shapes(name)), **{**SETTINGS, **OURS, **more})


def said_afresh(shapes, name, tokens):
    with make(shapes, name, draft="off") as fresh:
        return said(fresh, tokens)


@pytest.mark.parametrize("draft", ["auto", "off"])
@pytest.mark.parametrize("name", SLIDING)
def test_a_loaded_state_is_gone_on_from_and_gone_back_in(shapes, name, draft):
    """llama.cpp would write over its first cells, and forget what is needed where the conversation is cut."""
    with make(shapes, name, draft=draft) as llm:
        assert llm.exact
        prompt = [1, *words(1, LONG)]
        said(llm, prompt, 5)
        state = llm.save_state()
        said(llm, [1, *words(2, LONG)], 5)
        llm.load_state(state)
        longer = [*prompt, *words(3, 20)]
        earlier = [*prompt[:60], *words(4, 5)]
        for tokens in (longer, earlier, longer):
            want = said_afresh(shapes, name, tokens)
            assert (said(llm, tokens) if draft == "off" else drafted(llm, tokens, want)) == want
            assert llm.verifier.check_integrity() == ""
        llm.load_state(state)
        assert said(llm, [*prompt, 500], 1) and llm.stats.cached_tokens == len(prompt)


@pytest.mark.parametrize("n_batch", [1, 2, 3])
@pytest.mark.parametrize("name", SLIDING)
def test_few_sequences_or_a_full_context(shapes, name, n_batch):
    """Where no cell can be put behind the others, the tokens are computed again."""
    prompt = [1, *words(1, LONG)]
    longer, short = [*prompt, *words(3, 20)], [*prompt[:100], 500]
    want, shorter = said_afresh(shapes, name, longer), said_afresh(shapes, name, short)
    with make(shapes, name, n_batch=n_batch) as llm:
        llm.eval(prompt)
        llm.load_state(llm.save_state())
        assert llm.n_tokens == len(prompt)
        assert said(llm, longer) == want
        llm.reset()
        llm.eval([*prompt, *words(3, llm.n_ctx() - len(prompt))])
        llm.load_state(llm.save_state())
        assert llm.n_tokens == llm.n_ctx()
        assert said(llm, longer) == want
        assert said(llm, short) == shorter


@pytest.mark.parametrize("name", SLIDING)
def test_a_state_that_lacks_cells(shapes, name):
    """llama_cpp loses them where it goes on from a loaded state."""
    prompt = [1, *words(1, LONG)]
    short = [*prompt[:60], 500]
    theirs = llama_cpp.Llama(str(shapes(name)), verbose=False, flash_attn=True, swa_full=True, **SETTINGS)
    theirs.eval(prompt)
    theirs.load_state(theirs.save_state())
    theirs.eval(words(3, 20))
    state = theirs.save_state()
    theirs.close()
    with make(shapes, name) as llm:
        llm.load_state(state)
        assert said(llm, short) == said_afresh(shapes, name, short)


@pytest.mark.parametrize("name", SLIDING)
def test_llama_cpps_own_cache_of_states(shapes, name):
    with make(shapes, name) as llm, make(shapes, name, draft="off") as plain:
        for each in (llm, plain):
            each.set_cache(llama_cpp.LlamaRAMCache())
        beginnings = [[1, *words(seed, LONG)] for seed in range(2)]
        for turn in range(6):
            tokens = [*beginnings[turn % 2], *words(turn, turn)]
            settings = {"max_tokens": 40, "temperature": 0.0, "logprobs": 1}
            want = plain.create_completion(tokens, **settings)["choices"]
            made = plain.input_ids[: plain.n_tokens].tolist()
            with llm.drafting(Adversary(made, llm.n_vocab(), 0.7, turn)):
                assert llm.create_completion(tokens, **settings)["choices"] == want


@pytest.mark.parametrize("name", SLIDING)
def test_nothing_of_a_damaged_state_is_left_behind(shapes, name):
    """Any of its first cells may have a position that no cell has."""
    other = [1, *words(2, 80)]
    with make(shapes, name) as llm:
        want = said(llm, other, 10)
        said(llm, [1, *words(1, 100)], 3)
        whole = llm.save_state()
        places = [
            at for at in range(100) if whole.llama_state[at : at + 12] == bytes([2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        ]
        assert places
        for place in (places[0] + 12 * cell for cell in range(5)):
            state = copy(whole)
            state.llama_state = whole.llama_state[: place + 3] + b"\xff" + whole.llama_state[place + 4 :]
            llm.load_state(state)
            assert said(llm, other, 10) == want
