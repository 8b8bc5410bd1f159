"""Models that cannot draft, embedding mode, and what else an object of llama_cpp goes through: pickling, closing."""

from __future__ import annotations

import pickle

import llama_cpp
import pytest
from one_model import ALONE, PROMPT

from hd_edge import ConfigError, ExactModeError, Llama


def said(completion):
    return completion["choices"], completion["usage"]["total_tokens"]


def test_model_that_cannot_be_drafted_for_says_why(mamba, caplog, opened):
    with caplog.at_level("INFO", logger="hd_edge"):
        llm = opened(Llama(str(mamba), n_ctx=128, n_batch=1, **ALONE))
    reason = "n_batch=1 leaves no room for a draft and a copy of the recurrent state"
    assert [r.message for r in caplog.records] == [f"drafting is off for {mamba}: {reason}"]
    assert llm.context_params.n_seq_max == 1
    plain = opened(llama_cpp.Llama(str(mamba), n_ctx=128, n_threads=1, flash_attn=True, verbose=False))
    assert said(llm(PROMPT, max_tokens=20, temperature=0.0)) == said(plain(PROMPT, max_tokens=20, temperature=0.0))
    assert llm.stats.tokens == 20


def test_embedding_mode(models, opened):
    shared = {"embedding": True, "flash_attn": True, "verbose": False, "n_ctx": 128, "n_threads": 1}
    plain = opened(llama_cpp.Llama(str(models("Q4_0")), **shared))
    llm = opened(Llama(str(models("Q4_0")), row_kernels=False, **shared))
    assert llm.embed("the cat") == plain.embed("the cat")


def test_pickle_keeps_our_arguments(models):
    with Llama(str(models("Q4_0")), exact=True, draft="paper", n_ctx=64, n_threads=1) as llm:
        state = llm.__getstate__()
    assert state["draft"].profile == "paper"
    assert state["exact"] is True
    assert pickle.loads(pickle.dumps(state["draft"])) == state["draft"]


def test_closing_twice(models):
    llm = Llama(str(models("Q4_0")), n_ctx=64, n_threads=1)
    llm.close()
    llm.close()


BOTH_WAYS = [{"attention_type": 1}, {"kv_overrides": {"llama.attention.causal": False}}]


@pytest.mark.parametrize("setting", BOTH_WAYS, ids=["attention_type", "kv_overrides"])
def test_attention_to_later_tokens_decodes_plainly(models, opened, setting):
    """The tokens before a draft would see it: none is made, and exactness is not claimed."""
    settings = {"n_ctx": 128, "n_threads": 1, "n_threads_batch": 1, **setting}
    llm = opened(Llama(str(models("Q4_0")), **settings))
    assert "not causal" in llm.plain_reason
    assert not llm.exact
    plain = opened(Llama(str(models("Q4_0")), draft="off", **settings))
    assert said(llm(PROMPT, max_tokens=40, temperature=0.0)) == said(plain(PROMPT, max_tokens=40, temperature=0.0))
    with pytest.raises(ExactModeError, match="causal"):
        Llama(str(models("Q4_0")), exact=True, **settings)
    with pytest.raises(ConfigError, match="n_ubatch=7 is below n_batch=64"):  # llama.cpp aborts at the first prompt
        Llama(str(models("Q4_0")), n_batch=64, n_ubatch=7, **settings)


def test_attention_type_outdoes_the_file(models):
    causal = {"attention_type": 0, "kv_overrides": {"llama.attention.causal": False}}
    with Llama(str(models("Q4_0")), n_ctx=64, n_threads=1, n_threads_batch=1, **causal) as llm:
        assert llm.plain_reason == ""


def test_exactness_follows_the_overridden_header(models):
    """Heads of 32 columns, which no kernel of ours takes, where the file says 64."""
    heads = {"llama.attention.head_count": 16, "llama.attention.head_count_kv": 8, "llama.rope.dimension_count": 32}
    with Llama(str(models("Q4_0")), n_ctx=64, n_threads=1, n_threads_batch=1, kv_overrides=heads) as llm:
        assert not llm.exact
