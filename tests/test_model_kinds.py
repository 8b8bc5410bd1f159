"""Models that cannot draft, embedding mode, and what else an object of llama_cpp goes through: pickling, closing."""

from __future__ import annotations

import pickle

import llama_cpp

from hd_edge import Llama

PROMPT = "the cat sat on the mat and then the cat"


def said(completion):
    return completion["choices"], completion["usage"]["total_tokens"]


def test_recurrent_model_decodes_plainly(mamba, caplog):
    with caplog.at_level("INFO", logger="hd_edge"):
        llm = Llama(str(mamba), n_ctx=128, n_threads=1, n_threads_batch=1)
    assert [r.message for r in caplog.records] == [
        f"drafting is off for {mamba}: recurrent and hybrid models cannot roll back"
    ]
    assert llm.context_params.n_seq_max == 1
    plain = llama_cpp.Llama(str(mamba), n_ctx=128, n_threads=1, flash_attn=True, verbose=False)
    assert said(llm(PROMPT, max_tokens=20, temperature=0.0)) == said(plain(PROMPT, max_tokens=20, temperature=0.0))
    assert llm.stats.tokens == 20
    llm.close()
    plain.close()


def test_embedding_mode(models):
    shared = {"embedding": True, "flash_attn": True, "verbose": False, "n_ctx": 128, "n_threads": 1}
    plain = llama_cpp.Llama(str(models("Q4_0")), **shared)
    llm = Llama(str(models("Q4_0")), row_kernels=False, **shared)
    assert llm.embed("the cat") == plain.embed("the cat")
    llm.close()
    plain.close()


def test_pickle_keeps_our_arguments(models):
    llm = Llama(str(models("Q4_0")), exact=True, draft="paper", n_ctx=64, n_threads=1)
    state = llm.__getstate__()
    llm.close()
    assert state["draft"].profile == "paper"
    assert state["exact"] is True
    assert pickle.loads(pickle.dumps(state["draft"])) == state["draft"]


def test_closing_twice(models):
    llm = Llama(str(models("Q4_0")), n_ctx=64, n_threads=1)
    llm.close()
    llm.close()
