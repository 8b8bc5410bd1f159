"""Runs in a process of its own, as row_kernels_child does: prints what a test of attention asserts on."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import llama_cpp
import numpy as np
from ggml_product import Ggml
from row_kernels_child import logits, token_ids
from trees import random_tree

from hd_edge import Llama
from hd_edge.backend import kernels as row_kernels

ROWS = (1, 2, 3, 5, 8, 16, 33, 64, 200)


def load(path: str, threads: int, n_batch: int = 512, kv: tuple[int, int] = (1, 1)) -> llama_cpp.Llama:
    with row_kernels.offered("auto") as status:
        assert status.attention, status.attention_reason
        return llama_cpp.Llama(
            path, n_ctx=1280, n_batch=n_batch, n_ubatch=n_batch, n_threads=threads, n_threads_batch=threads,
            flash_attn=True, verbose=False, type_k=kv[0], type_v=kv[1], logits_all=False,
        )  # fmt: skip


def prefill(model: llama_cpp.Llama, ids: list[int]) -> None:
    for at in range(0, len(ids), model.n_batch):
        logits(model, ids[at : at + model.n_batch], at)


def company(path: str, prefix: int, kv: tuple[int, int]) -> dict[str, Any]:
    """Which rows differ from their single step, which threads and batch sizes from one thread and 512 rows."""
    rows = [n for n in ROWS if n < 64] if prefix > 500 else list(ROWS)
    want, out = None, {}
    for threads, n_batch in ((1, 512), (2, 512), (3, 512), (2, 8), (2, 40), (3, 200)):
        model = load(path, threads, n_batch, kv)
        ids = token_ids(model, prefix + max(rows))
        prefill(model, ids[:prefix])
        if want is None:
            single = [logits(model, ids[prefix + i : prefix + i + 1], prefix + i) for i in range(max(rows))]
            want = np.concatenate(single)
        differ = []
        for n in rows:
            if n <= n_batch:
                got = logits(model, ids[prefix : prefix + n], prefix)
                if got.tobytes() != want[:n].tobytes():
                    differ.append(n)
        out[f"{threads} threads, n_batch {n_batch}"] = differ
        model.close()
    return {"different": out, "spread": float(want.std())}


def trees(path: str, prefix: int, seed: int) -> dict[str, int]:
    """Nodes of a random tree whose logits are not those of their path, decoded token by token."""
    llm = Llama(path, draft="off", store=None, statistics=None, n_ctx=1280, n_threads=2, n_threads_batch=2)
    llm.eval(token_ids(llm, prefix))
    verifier, n_vocab = llm._verifier, llm.n_vocab()
    tree = random_tree(9, 40, verifier.max_leaves, seed)
    verifier.begin(prefix)
    assert verifier.decode(np.array([9], dtype=np.int32), tree) == 0
    rows = [verifier.logits(i).copy() for i in range(len(tree))]
    verifier.rollback()
    verifier.release(prefix)
    different = 0
    for leaf in range(len(tree)):
        if leaf in tree.parent:
            continue
        chain, node = [], leaf
        while node >= 0:
            chain.append(node)
            node = int(tree.parent[node])
        llm.n_tokens = prefix
        llm._ctx.kv_cache_seq_rm(0, prefix, -1)
        for node in reversed(chain):
            llm.eval([int(tree.token[node])])
            row = np.ctypeslib.as_array(llm._ctx.get_logits_ith(-1), shape=(n_vocab,))
            different += not np.array_equal(row, rows[node])
    return {"nodes": len(tree), "leaves": tree.leaves, "different": different}


def plain(path: str) -> dict[str, str]:
    """Logits of a plain llama_cpp.Llama, and of one that uses the kernels, in one process with them."""
    out = {}
    for name in ("plain", "ours"):
        if name == "ours" and not row_kernels.status().active:
            break
        if name == "plain":
            row_kernels.enable()  # installed, and not offered to this model
            model = llama_cpp.Llama(path, n_ctx=512, n_threads=2, n_threads_batch=2, flash_attn=True, verbose=False)
        else:
            model = load(path, 2)
        ids = token_ids(model, 300)
        prefill(model, ids[:290])
        rows = [logits(model, ids[290 : 290 + n], 290) for n in (1, 8)]
        out[name] = hashlib.sha256(b"".join(row.tobytes() for row in rows)).hexdigest()
        model.close()
    return out


def accuracy(cells: int, rows: int) -> dict[str, float]:
    """Error of one attention over random cells (F16) against float64, in parts of the result: ours and llama.cpp's."""
    row_kernels.enable()
    ggml, ptr, size = Ggml(), ctypes.c_void_p, ctypes.c_int64
    rng = np.random.default_rng(3)
    heads, columns = 4, 128
    q = rng.normal(size=(heads, rows, columns)).astype(np.float32)
    k, v = (rng.normal(size=(heads, cells, columns)).astype(np.float16) for _ in range(2))
    scores = np.einsum("hrd,hcd->hrc", q.astype(np.float64), k.astype(np.float64)) / 8
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    right = np.einsum("hrc,hcd->rhd", weights, v.astype(np.float64))
    out = {}
    plain = ptr(ggml.call("ggml_backend_cpu_buffer_type"))
    assert row_kernels._library is not None
    for name, offer in (("ours", 1), ("theirs", 0)):
        cache, rest = (ptr(ggml.call("ggml_init", ggml.InitParams(1 << 20, None, True))) for _ in range(2))

        def new(context: Any, kind: int, array: np.ndarray, ptr: Any = ptr, size: Any = size) -> Any:
            shape = [size(n) for n in (*array.shape[::-1], 1, 1)][:4]
            return ptr(ggml.call("ggml_new_tensor_4d", context, kind, *shape))

        a, b, c = new(rest, 0, q), new(cache, 1, k), new(cache, 1, v)
        zero = ctypes.c_float(0)
        y = ptr(ggml.call("ggml_flash_attn_ext", rest, a, b, c, None, ctypes.c_float(0.125), zero, zero))
        graph = ptr(ggml.call("ggml_new_graph", rest))
        ggml.call("ggml_build_forward_expand", graph, y)
        row_kernels._library.hd_attention_offer(offer)
        ggml.call("ggml_backend_alloc_ctx_tensors_from_buft", cache, plain)
        row_kernels._library.hd_attention_offer(0)
        ggml.call("ggml_backend_alloc_ctx_tensors_from_buft", rest, plain)
        for tensor, data in ((a, q), (b, k), (c, v)):
            ggml.call("ggml_backend_tensor_set", tensor, ptr(data.ctypes.data), size(0), size(data.nbytes))
        backend = ptr(ggml.call("ggml_backend_cpu_init"))
        assert ggml.call("ggml_backend_graph_compute", backend, graph, result=ctypes.c_int) == 0
        got = np.empty((rows, heads, columns), dtype=np.float32)
        ggml.call("ggml_backend_tensor_get", y, ptr(got.ctypes.data), size(0), size(got.nbytes))
        out[name] = float(np.linalg.norm(got - right) / np.linalg.norm(right))
    return out
