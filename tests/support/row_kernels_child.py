"""Runs in a process of its own, because the kernels are installed once per process: prints what a test asserts on."""

from __future__ import annotations

import ctypes
import hashlib
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import llama_cpp
import make_random_gguf
import numpy as np
from ggml_product import Ggml
from llama_cpp import llama_cpp as lib

from hd_edge.backend import kernels as row_kernels

PREFIX = 70


def load(
    path: str, setting: Any = "auto", threads: int = 2, context: int = 256, **settings: Any
) -> tuple[llama_cpp.Llama, dict[str, Any]]:
    before = 0 if setting == "auto" else taken()  # an offer begins the count anew
    with row_kernels.offered(setting) as status:
        model = llama_cpp.Llama(
            path, n_ctx=context, n_threads=threads, n_threads_batch=threads, flash_attn=True, verbose=False,
            type_k=lib.GGML_TYPE_Q8_0, type_v=lib.GGML_TYPE_Q8_0, **settings,
        )  # fmt: skip
        status = row_kernels.used(status)
    facts = {"active": status.active, "reason": status.reason, "isa": status.isa}
    return model, facts | {"bytes": taken() - before}


def taken() -> int:
    """Bytes of weights that this thread has loaded for the kernels."""
    return int(row_kernels._library.hd_rows_taken()) if row_kernels._library is not None else 0


def logits(model: llama_cpp.Llama, tokens: list[int], position: int) -> np.ndarray:
    """Logits of all of these tokens, in one forward behind `position` tokens."""
    batch = lib.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position + i, 1, 1
        batch.seq_id[i][0] = 0
    lib.llama_memory_seq_rm(lib.llama_get_memory(model.ctx), 0, position, -1)
    assert lib.llama_decode(model.ctx, batch) == 0
    n = model.n_vocab()
    out = np.stack([np.ctypeslib.as_array(lib.llama_get_logits_ith(model.ctx, i), (n,)) for i in range(len(tokens))])
    lib.llama_batch_free(batch)
    return out.copy()


def token_ids(model: llama_cpp.Llama, count: int) -> list[int]:
    return [(i * 37 + 300) % model.n_vocab() for i in range(count)]


def different_rows(model: llama_cpp.Llama, sizes: Sequence[int] = (*range(2, 17), 33, 64, 1)) -> list[int]:
    """In forwards of which sizes some row differs from its own single step."""
    most = max(sizes)
    ids = token_ids(model, PREFIX + most)
    logits(model, ids[:PREFIX], 0)
    single = np.concatenate([logits(model, ids[PREFIX + i : PREFIX + i + 1], PREFIX + i) for i in range(most)])
    assert single.std() > 1e-3
    return [n for n in sizes if logits(model, ids[PREFIX : PREFIX + n], PREFIX).tobytes() != single[:n].tobytes()]


def rows(paths: list[str], threads: int) -> list[dict[str, Any]]:
    """For each model: in forwards of which sizes some row differs from its own single step."""
    results = []
    for path in paths:
        model, facts = load(path, threads=threads)
        ids = token_ids(model, PREFIX + 16)
        logits(model, ids[:PREFIX], 0)
        single = np.concatenate([logits(model, ids[PREFIX + i : PREFIX + i + 1], PREFIX + i) for i in range(16)])
        sizes = (*range(2, 17), 1)
        different = [
            n for n in sizes if logits(model, ids[PREFIX : PREFIX + n], PREFIX).tobytes() != single[:n].tobytes()
        ]
        results.append(facts | {"different": different, "spread": float(single.std())})
        model.close()
    return results


def mixture(path: str) -> dict[str, Any]:
    """A model with experts: how much of it our kernels take, how far its logits are from llama.cpp's, exact mode."""
    from hd_edge import ExactModeError, Llama

    out: dict[str, Any] = {}
    results = {}
    for setting in ("auto", False):
        model, facts = load(path, setting, threads=1)
        results[setting] = logits(model, token_ids(model, 8), 0)
        out[str(setting)] = facts["bytes"]
        model.close()
    out["difference"] = float(np.abs(results["auto"] - results[False]).max() / results[False].std())
    for setting in ("auto", False):
        try:
            settings = {"n_ctx": 256, "n_threads": 2, "n_threads_batch": 2, "row_kernels": setting}
            with Llama(path, exact=True, store=None, **settings) as llm:
                out[f"exact {setting}"] = different_rows(llm)
        except ExactModeError as error:
            out[f"exact {setting}"] = str(error)
    return out


def settings(path: str) -> dict[str, Any]:
    """One process, one model after the other: on, off for this model, off by use_extra_bufts, disabled, on again."""
    out: dict[str, Any] = {}

    def one(name: str, setting: Any, **extra: Any) -> np.ndarray:
        model, out[name] = load(path, setting, **extra)
        ids = token_ids(model, 20)
        logits(model, ids, 0)
        result = logits(model, ids[:1], 20)
        model.close()
        return result

    first = one("auto", "auto")
    plain = one("off", False)

    without = Params(use_extra_bufts=False)
    with without:
        out["changed"] = bool((one("no extra", "auto") != first).any())
    row_kernels.disable()
    disabled = one("disabled", "auto")
    row_kernels.enable()
    again = one("again", "auto")
    out["same"] = bool((first == again).all())
    out["plain"] = bool((plain == disabled).all() and (plain != first).any())
    out["close"] = float(np.abs(plain - first).max() / plain.std())
    return out


class Params:
    """Sets fields of the model parameters of every model that is loaded inside the block."""

    def __init__(self, **fields: Any) -> None:
        self.fields, self.default = fields, lib.llama_model_default_params

    def __enter__(self) -> None:
        def changed() -> Any:
            params = self.default()
            for name, value in self.fields.items():
                setattr(params, name, value)
            return params

        lib.llama_model_default_params = changed

    def __exit__(self, *_: object) -> None:
        lib.llama_model_default_params = self.default


def order(path: str, steps: list[str]) -> list[dict[str, Any]]:
    """Models of one process, loaded in this order: what each of ours took, and a digest of its logits.

    Steps: "plain" and "vocab" are loads that know nothing of us and stay open; "ours", "off" (row_kernels=False);
    "together" loads ours in three threads while the plain models so far compute.
    """
    others: list[llama_cpp.Llama] = []
    out = []

    def ours(setting: Any = "auto") -> None:
        with row_kernels.offered(setting) as status:
            # verbose: llama_cpp silences a load by redirecting the process's stdout, which threads cannot share
            model = llama_cpp.Llama(path, n_ctx=128, n_threads=2, n_threads_batch=2, flash_attn=True, verbose=True)
            state = row_kernels.used(status)
        out.append(told(model) | {"active": state.active, "reason": state.reason})

    def told(model: llama_cpp.Llama) -> dict[str, Any]:
        digest = hashlib.sha256(logits(model, token_ids(model, 20), 0).tobytes()).hexdigest()
        return {"digest": digest, "own": bool(row_kernels._library and row_kernels._library.hd_rows_taken())}

    for step in steps:
        if step == "plain":
            others.append(llama_cpp.Llama(path, n_ctx=128, n_threads=2, flash_attn=True, verbose=False))
            out.append(told(others[-1]) | {"active": False, "own": False})
        elif step == "vocab":
            llama_cpp.Llama(path, vocab_only=True, verbose=False)
        elif step == "together":
            threads = [threading.Thread(target=ours) for _ in range(3)]
            for thread in threads:
                thread.start()
            for other in others:
                logits(other, token_ids(other, 20), 0)
            for thread in threads:
                thread.join()
        else:
            ours(False if step == "off" else "auto")
    return out


def status_only(version: str | None = None) -> dict[str, Any]:
    if version:
        llama_cpp.__version__ = version
    before = row_kernels.status()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        after = row_kernels.enable()
        row_kernels.enable()
    told = [warning.category.__name__ for warning in caught]
    return {"warned": told, "before": before.reason, "active": after.active, "reason": after.reason, "isa": after.isa}


def missing_function() -> dict[str, Any]:
    """A library without one of the functions."""

    class Library:
        def __getattr__(self, name: str) -> Any:
            if name == "ggml_barrier":
                raise AttributeError(name)
            return getattr(real, name)

    real, lib._lib = lib._lib, Library()
    return status_only()


def wrong_layout() -> dict[str, Any]:
    """A library whose functions contradict our structures: each in its turn must be noticed."""
    out = {}
    real = lib._lib
    strange = {
        "ggml_op_name": ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int)(lambda _: b"ADD"),
        "ggml_type_size": ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_int)(lambda _: 17),
        "ggml_tensor_overhead": ctypes.CFUNCTYPE(ctypes.c_size_t)(lambda: 400),
        "ggml_backend_buffer_get_base": ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: 4096),
        "ggml_backend_reg_name": ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(lambda _: b"CPU"),
        "ggml_backend_graph_compute": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: 0),
        # Only several threads take chunks from it.
        "ggml_threadpool_chunk_add": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(lambda *_: 1 << 30),
    }
    for changed, function in strange.items():

        class Library:
            def __getattr__(self, name: str) -> Any:
                return function if name == changed else getattr(real, name)  # noqa: B023

        lib._lib = Library()
        row_kernels._status = None
        out[changed] = row_kernels.enable().reason
    lib._lib, row_kernels._status = real, None
    out["nothing"] = row_kernels.enable().reason
    return out


def accuracy(types: list[str]) -> dict[str, list[float]]:
    """Relative error of one product against float64, per weight type: ours and llama.cpp's own."""
    import gguf

    assert row_kernels.enable().active
    ggml = Ggml()
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((8, 2048)) * np.exp(rng.standard_normal((1, 2048)))).astype(np.float32)
    out = {}
    for name in types:
        kind = gguf.GGMLQuantizationType[name]
        blocks = make_random_gguf.RandomBlocks(kind, rng, 512 * 2048).tensor(512, 2048)
        exact = x.astype(np.float64) @ gguf.quants.dequantize(blocks, kind).astype(np.float64).T
        errors = []
        for buffer_type in (ggml.row_buffer_type(), ggml.call("ggml_backend_cpu_buffer_type")):
            y = ggml.product(blocks, int(kind), x, buffer_type)
            errors.append(float(np.linalg.norm(y - exact) / np.linalg.norm(exact)))
        out[name] = errors
    return out
