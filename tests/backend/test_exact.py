"""Exact mode on real llama.cpp: drafted text is plain text, a node's logits are those of its path as a chain."""

from __future__ import annotations

from dataclasses import replace

import make_random_gguf
import numpy as np
import one_model
import pytest
from children import python
from tiny_gguf import FILE_TYPES
from trees import random_tree

from hd_edge import ExactModeError, Llama
from hd_edge.backend import exact as exact_mode
from hd_edge.backend.kernels import Status
from hd_edge.check.adversary import Adversary
from hd_edge.draft.planner import NoDraft
from hd_edge.model.gguf import GGUFHeader, read_header

THREADS = {"n_threads": 1, "n_threads_batch": 1}


def take(llm, prompt, n, **sampling):
    llm.set_seed(42)
    return one_model.take(llm.generate(prompt, **{"temp": 0.0, **sampling}), n)


def drafted_is_plain(llm, length, n, right):
    """Its drafts are plain decoding's, so many of them right."""
    prompt = prompt_of(length)
    want = take(llm, prompt, n)
    with llm.drafting(Adversary(prompt + want, llm.n_vocab(), right, 1)):
        assert take(llm, prompt, n) == want
    assert llm.stats.forwards < n - 1


def prompt_of(length, seed=1):
    rng = np.random.default_rng(seed)
    return [1, *rng.integers(3, 500, length - 1).tolist()]


@pytest.fixture(scope="module")
def exact(models):
    """Loads one exact model at a time and keeps the last."""
    held = {}

    def get(quantization):
        if quantization not in held:
            for old in held.values():
                old.close()
            held.clear()
            held[quantization] = Llama(str(models(quantization)), exact=True, draft="off", n_ctx=1024, **THREADS)
        return held[quantization]

    yield get
    for llm in held.values():
        llm.close()


@pytest.mark.parametrize("length", [20, 700])
@pytest.mark.parametrize("quantization", FILE_TYPES)
def test_drafted_is_plain(exact, quantization, length):
    llm = exact(quantization)
    prompt = prompt_of(length)
    want = take(llm, prompt, 90)
    assert len(set(want)) > 20  # the text is no loop of one token
    plain_seeded = take(llm, prompt, 60, temp=0.9, top_k=0, top_p=1.0, min_p=0.0)
    for right, seed in ((0.9, 1), (0.4, 2), (1.0, 3)):
        with llm.drafting(Adversary(prompt + want, llm.n_vocab(), right, seed, special=[2])):
            assert take(llm, prompt, 90) == want
        assert llm.stats.forwards < 89
        with llm.drafting(Adversary(prompt + plain_seeded, llm.n_vocab(), right, seed)):
            assert take(llm, prompt, 60, temp=0.9, top_k=0, top_p=1.0, min_p=0.0) == plain_seeded


@pytest.mark.parametrize("prefix", [30, 700])
@pytest.mark.parametrize("quantization", FILE_TYPES)
def test_node_logits_are_those_of_the_path_as_a_chain(exact, quantization, prefix):
    llm = exact(quantization)
    verifier, n_vocab = llm._verifier, llm.n_vocab()
    prompt = prompt_of(prefix, seed=5)
    tree = random_tree(9, 24, verifier.max_leaves, 7)
    assert tree.leaves > 3

    llm.reset()
    llm.eval(prompt)
    verifier.begin(prefix)
    assert verifier.decode(np.array([9], dtype=np.int32), tree) == 0
    rows = [verifier.logits(i).copy() for i in range(len(tree))]
    verifier.rollback()
    verifier.release(prefix)

    tokens, parents = tree.token, tree.parent
    for leaf in range(len(tree)):
        if leaf in parents:
            continue
        chain, node = [], leaf
        while node >= 0:
            chain.append(node)
            node = int(parents[node])
        llm.n_tokens = prefix
        llm._ctx.kv_cache_seq_rm(0, prefix, -1)
        for node in reversed(chain):  # single steps
            llm.eval([int(tokens[node])])
            row = np.ctypeslib.as_array(llm._ctx.get_logits_ith(-1), shape=(n_vocab,))
            assert np.array_equal(row, rows[node]), (quantization, node)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("row_kernels", ["auto", False])
@pytest.mark.parametrize("quantization", FILE_TYPES)
def test_rows_with_either_kernels(models, quantization, row_kernels, threads):
    """Our kernels take up to 16 rows at once, llama.cpp's four or eight."""
    settings = {"n_ctx": 128, "n_threads": threads, "n_threads_batch": threads, "row_kernels": row_kernels}
    with Llama(str(models(quantization)), exact=True, draft="off", **settings) as llm:
        exact_mode.check_rows(llm, (*range(2, 18), 33))
        drafted_is_plain(llm, 20, 24, right=0.9)


@pytest.mark.parametrize("quantization", ["Q4_K_M", "F32"])
def test_two_threads(models, quantization):
    """Float weights, too."""
    two = {"n_threads": 2, "n_threads_batch": 2}
    with Llama(str(models(quantization)), exact=True, draft="off", n_ctx=1024, **two) as llm:
        drafted_is_plain(llm, 600, 40, right=0.8)


def test_logits_all_rows_are_those_of_plain_decoding(models):
    def run(draft):
        llm = Llama(str(models("Q4_0")), exact=True, draft="off", n_ctx=256, logits_all=True, **THREADS)
        prompt = prompt_of(20)
        with llm.drafting(Adversary(prompt + draft, llm.n_vocab(), 0.8, 1) if draft else NoDraft()):
            tokens = take(llm, prompt, 40)
        scores = llm._scores.copy()
        llm.close()
        return tokens, scores

    want, scores = run([])
    got, drafted_scores = run(want)
    assert got == want
    assert np.array_equal(scores, drafted_scores)


def test_float_weights_need_our_kernels(models):
    with pytest.raises(ExactModeError, match=r"this file holds F32 matrices .*row kernels"):
        Llama(str(models("F32")), exact=True, row_kernels=False)


def test_which_float_matrices_are_ours():
    own = kernels("Q4_0", "F32", attention=("F16",))
    shapes = {"router": (512, 6), "attn_k_b": (512, 512, 4)}
    for name, kind, fine in (("router", "F32", True), ("router", "F16", False), ("attn_k_b", "F32", False)):
        header = GGUFHeader(tensor_types={name: kind}, dimensions={name: shapes[name]})
        settings = {"type_k": 8, "type_v": 8, "lora_path": "x"}
        body = GGUFHeader()
        if fine:
            exact_mode.plan(header, settings, own)
            exact_mode.plan(body, settings, own, header)
            with pytest.raises(ExactModeError, match="LoRA adapter x holds F32"):
                exact_mode.plan(body, settings, kernels("F32"), header)  # attention, and so the mark, is llama.cpp's
            continue
        with pytest.raises(ExactModeError, match=f"this file holds {kind}"):
            exact_mode.plan(header, settings, own)
        with pytest.raises(ExactModeError, match=f"the LoRA adapter x holds {kind}"):
            exact_mode.plan(body, settings, own, header)


def test_experts():
    """Those of our types by our kernels, floats row by row in llama.cpp; other stacks of matrices are llama.cpp's."""
    own, settings = kernels("Q4_K", attention=("F16",)), {"type_k": 8, "type_v": 8}
    for name, kind, rows, repacking in (
        ("blk.0.ffn_up_exps.weight", "Q4_K", 512, True),
        ("blk.0.ffn_up_exps.weight", "Q4_K", 520, False),
        ("blk.0.ffn_up_exps.weight", "BF16", 520, True),
        ("blk.0.attn_k_b.weight", "Q4_K", 512, False),
    ):
        header = GGUFHeader(tensor_types={name: kind}, dimensions={name: (512, rows, 4)})
        assert exact_mode.plan(header, settings, own).repacking == repacking


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"flash_attn": False}, "flash_attn is False"),
        ({"type_k": 1, "type_v": 1, "row_kernels": False}, "got 1, 1"),
        ({"n_gpu_layers": 3}, "n_gpu_layers is 3"),
    ],
)
def test_settings_that_rule_it_out(models, setting, text):
    with pytest.raises(ExactModeError, match=text):
        Llama(str(models("Q4_0")), exact=True, **setting)


def test_differing_rows_are_found_at_load(models, opened):
    """The proof at load does its work: without the KV types of exact mode it fails from 512 cells on two threads."""
    llm = opened(Llama(str(models("F32")), n_ctx=256, row_kernels=False, **THREADS))
    with pytest.raises(ExactModeError, match="9 rows differ"):
        exact_mode.check_rows(llm)


def test_an_exact_model_after_one_without_k_quants(models, monkeypatch):
    """llama.cpp reads its switch once: the first exact model must set it for those that follow."""
    code = (
        "import sys; from hd_edge import Llama; from hd_edge.backend import exact\n"
        "for path in sys.argv[1:]:\n"
        "    llm = Llama(path, exact=True, store=None, n_ctx=64, n_threads=1, n_threads_batch=1)\n"
        "    exact.check_rows(llm, (2, 5, 9, 16, 33, 63))\n"
    )
    monkeypatch.delenv("GGML_CPU_TILED_MM", raising=False)
    done = python("-c", code, models("Q8_0"), models("Q4_K_M"), HD_EDGE_ROW_KERNELS="off")
    assert done.returncode == 0, done.stderr


KV_PAIRS = {"q8_0": (8, 8), "F16 and q8_0": (1, 8), "F16 and BF16": (1, 30)}


@pytest.mark.parametrize("row_kernels", ["auto", False])
@pytest.mark.parametrize("quantization", ["Q4_0", "Q8_0", "Q4_K_M"])
@pytest.mark.parametrize("kv", KV_PAIRS)
def test_kv_types_on_two_threads(models, kv, quantization, row_kernels):
    """One row takes llama.cpp's split-KV attention from 512 cells on if it can, and with two threads only."""
    type_k, type_v = KV_PAIRS[kv]
    settings = {"type_k": type_k, "type_v": type_v, "n_ctx": 1024, "n_threads": 2, "n_threads_batch": 2}
    with Llama(str(models(quantization)), exact=True, draft="off", row_kernels=row_kernels, **settings) as llm:
        drafted_is_plain(llm, 600, 16, right=0.9)
        llm.reset()
        exact_mode.check_rows(llm, (7, 63))


def kernels(*types, attention=()):
    return Status(active=bool(types), reason="", isa="AVX2", types=types, attention=attention)


def test_what_a_file_needs(models):
    header = read_header(models("Q4_K_M"))
    without = exact_mode.plan(header, {}, kernels())
    assert (without.repacking, without.tiled, without.type_k) == (False, False, 8)
    assert any("Q4_K, Q6_K" in reason for reason in without.reasons)
    with_own = exact_mode.plan(header, {}, kernels("Q4_K", "Q6_K"))
    assert (with_own.repacking, with_own.tiled) == (True, True)
    only_q4, only_q6 = (exact_mode.plan(header, {}, kernels(name)) for name in ("Q4_K", "Q6_K"))
    assert (only_q4.repacking, only_q6.repacking) == (True, False)
    narrow = GGUFHeader(tensor_types={"a": "Q4_K"}, dimensions={"a": (256, 20)})
    assert not exact_mode.plan(narrow, {}, kernels("Q4_K")).repacking


@pytest.mark.parametrize(("size", "ours"), [(256, True), (48, False)])
def test_heads_of_two_sizes(tmp_path, size, ours):
    """Those of the layers with a window count as well: a size that our attention does not take is llama.cpp's."""
    path = tmp_path / "gemma4.gguf"
    make_random_gguf.write(path, replace(make_random_gguf.SHAPES["gemma4-tiny"], window_head=size), "Q4_0")
    with Llama(str(path), n_ctx=256, store=None, prefix_cache=None, **THREADS) as llm:
        assert llm.exact == ours
