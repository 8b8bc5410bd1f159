"""Second turns of models whose memory cannot go back to any token: they go on from a checkpoint, as a fresh object."""

from __future__ import annotations

import numpy as np
import pytest
from memories import SLIDING, STATES, settings_of, words
from one_model import last_row, take

from hd_edge import Llama
from hd_edge.check.adversary import Adversary
from hd_edge.prefix.checkpoints import APART, CLOSE


@pytest.fixture
def make(shapes, opened):
    def made(name, **more):
        path = shapes(name)
        return opened(Llama(str(path), **settings_of(path, **{"prefix_cache": "memory", **more})))

    return made


def said(llm, tokens, n=20):
    return take(llm.generate(tokens, temp=0.0), n)


@pytest.fixture(params=[*STATES, *SLIDING])
def pair(request, make):
    return make(request.param), make(request.param, prefix_cache=None, draft="off")


def same(pair, tokens):
    """Says what a fresh object says; returns how many tokens were not computed again."""
    llm, fresh = pair
    fresh.reset()
    if llm._header.windowed:  # cells are reused in another order: right, but not bit for bit
        said(fresh, tokens, 1)
        said(llm, tokens, 1)
        assert np.allclose(last_row(llm), last_row(fresh), rtol=0, atol=0.1)
        return llm.stats.cached_tokens
    want = said(fresh, tokens)
    with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.7, len(tokens))):
        assert said(llm, tokens) == want
    return llm.stats.cached_tokens


def test_a_conversation(pair):
    first = [1, *words(1, 300)]
    assert same(pair, first) == 0
    answer = said(pair[1], first)
    second = [*first, *answer[:-1], *words(2, 50)]
    assert same(pair, second) >= len(first)  # goes on
    assert same(pair, second) >= len(second) - APART - CLOSE  # a regenerated answer
    rewritten = [*second[:-4], *words(3, 150)]  # the template's end has changed, and another message follows
    assert same(pair, rewritten) >= len(second) - APART - CLOSE
    edited = [*second[:-20], *words(4, 40)]  # the message of the turn before
    assert same(pair, edited) >= len(first)
    assert same(pair, [*first[:200], *words(5, 120)]) >= 200 - 128
    assert same(pair, [1, *words(6, 200)]) == 0


def test_random_conversations(pair):
    rng = np.random.default_rng(11)
    tokens, reused = [1, *words(7, 100)], 0
    for turn in range(12):
        keep = int(rng.integers(1, len(tokens) + 1))
        tokens = [*tokens[:keep], *words(100 + turn, int(rng.integers(1, 200)))][:900]
        reused += same(pair, tokens)
    assert reused > 0


def test_no_checkpoints_without_a_prefix_cache(make):
    llm = make("qwen35-tiny", prefix_cache=None)
    assert llm.checkpoints is None
    said(llm, [1, *words(1, 300)])
    assert said(llm, [1, *words(1, 300)]) and llm.stats.cached_tokens == 0


def test_none_where_the_memory_goes_back_to_any_token(make):
    for name, more in (("qwen3moe-tiny", {}), ("gemma3-tiny", {"swa_full": True})):
        llm = make(name, **more)
        assert llm.checkpoints is None


def test_budget(make):
    llm = make("qwen35-tiny")
    said(llm, [1, *words(1, 80)])
    each = llm.checkpoints.bytes // len(llm.checkpoints)
    llm.checkpoints.budget = 4 * each
    said(llm, [1, *words(2, 900)])
    positions = llm.checkpoints.positions
    assert len(positions) == 4
    assert llm.checkpoints.bytes <= 4 * each
    assert positions[-1] == 901 - CLOSE
    assert max(np.diff([0, *positions])) <= 384  # spread over the conversation
    llm.checkpoints.budget = each // 2
    said(llm, [1, *words(3, 300)])
    assert len(llm.checkpoints) == 0


def test_checkpoints_lie_apart(make):
    llm = make("lfm2-tiny")
    tokens = [1, *words(1, 100)]
    for turn in range(5):
        said(llm, tokens, 3)
        tokens = [*tokens, *words(20 + turn, 30)]
    assert min(np.diff(llm.checkpoints.positions), default=APART) >= APART


def test_state_that_llama_cpp_refuses_is_computed_again(make):
    llm, fresh = make("qwen35-tiny"), make("qwen35-tiny", prefix_cache=None)
    tokens = [1, *words(1, 300)]
    said(llm, tokens)
    for blob in llm.checkpoints._blobs.values():
        blob[8:40] = bytes(32)
    assert said(llm, tokens) == said(fresh, tokens)
    assert llm.stats.cached_tokens == 0


@pytest.mark.parametrize("name", ["qwen35-tiny", "mamba2-tiny", "gemma3-tiny"])
def test_a_cancelled_prompt_leaves_what_holds(make, name):
    """The forward under way has overwritten the state; the last checkpoint is before it."""
    llm, fresh = make(name), make(name, prefix_cache=None)
    tokens = [1, *words(1, 700)]
    said(llm, tokens[:300])
    llm.on_prefill = lambda done, total, seconds: llm.cancel() if done > 200 else None
    assert said(llm, tokens) == []
    llm.on_prefill = None
    assert said(llm, tokens) == said(fresh, tokens)
    assert llm.stats.cached_tokens > 0


@pytest.mark.parametrize("name", ["qwen35-tiny", "gemma3-tiny"])
def test_a_loaded_state_has_no_checkpoints_of_another_conversation(make, name):
    llm, fresh = make(name), make(name, prefix_cache=None)
    one, other = [1, *words(1, 300)], [1, *words(2, 300)]
    said(llm, other)
    state = llm.save_state()
    said(llm, one)
    llm.load_state(state)
    assert said(llm, [*other[:290], 700]) == said(fresh, [*other[:290], 700])
