"""make_random_gguf writes models that llama.cpp loads, of every small shape and of every type."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import islice

import llama_cpp
import make_random_gguf
import pytest
from make_random_gguf import SHAPES
from memories import STATES
from random_gguf.blocks import PURE

SMALL = [name for name in SHAPES if name.endswith("-tiny")]


def said(path, n):
    one = {"n_threads": 1, "n_threads_batch": 1}
    with closing(llama_cpp.Llama(str(path), n_ctx=64, flash_attn=True, verbose=False, **one)) as llm:
        state = bool(llm._is_hybrid or llm._is_recurrent)
        return state, list(islice(llm.generate([1, 300, 400, 500, 600], temp=1.0, top_p=1.0, top_k=0), n))


@pytest.mark.parametrize("name", SMALL)
def test_shape(name, tmp_path):
    path = tmp_path / "model.gguf"
    make_random_gguf.write(path, SHAPES[name], "Q4_0")
    state, tokens = said(path, 20)
    assert state == (name in STATES)
    assert len(set(tokens)) > 5


@pytest.mark.parametrize("kind", PURE)
def test_type(kind, tmp_path):
    path = tmp_path / "model.gguf"
    make_random_gguf.write(path, replace(SHAPES["qwen3moe-tiny"], layers=1), kind, pure=True)
    _, tokens = said(path, 20)
    assert len(set(tokens)) > 5


def test_mxfp4_mix_is_that_of_gpt_oss(tmp_path):
    path = tmp_path / "model.gguf"
    make_random_gguf.write(path, SHAPES["gpt-oss-tiny"], "MXFP4")
    from hd_edge.model.gguf import read_header

    kinds = read_header(path).tensor_types
    assert kinds["blk.0.ffn_up_exps.weight"] == "MXFP4"
    assert kinds["blk.0.attn_q.weight"] == kinds["output.weight"] == "Q8_0"


@pytest.mark.parametrize(("layers", "sharing"), [(35, 20), (10, 5), (6, 1), (5, 0), (2, 0)])
def test_fewer_layers_keep_caches_to_share(layers, sharing):
    """llama.cpp looks for them in the last two layers that have one: a window's and a full one."""
    shape = SHAPES["gemma4-e2b"].with_layers(layers)
    assert (shape.layers, shape.sharing) == (layers, sharing)
    assert SHAPES["qwen3moe-30b"].with_layers(2).sharing == 0
