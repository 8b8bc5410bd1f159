"""Runs in a process of its own, because llama.cpp reads its list of buffer types once: prints what a test asserts on.

python row_kernels_child.py FUNCTION JSON-ARGUMENTS
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as lib

from hd_edge import row_kernels

PREFIX = 70


def load(path: str, setting: Any = "auto", threads: int = 2, **settings: Any) -> tuple[llama_cpp.Llama, dict[str, Any]]:
    before = row_kernels.bytes_in_use()
    with row_kernels.offered(setting) as status:
        model = llama_cpp.Llama(
            path, n_ctx=256, n_threads=threads, n_threads_batch=threads, flash_attn=True, verbose=False,
            type_k=lib.GGML_TYPE_Q8_0, type_v=lib.GGML_TYPE_Q8_0, **settings,
        )  # fmt: skip
    facts = {"active": status.active, "reason": status.reason, "isa": status.isa}
    return model, facts | {"bytes": row_kernels.bytes_in_use() - before}


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


def loaded_before(path: str) -> dict[str, Any]:
    """A model that somebody else loaded first."""
    other = llama_cpp.Llama(path, n_ctx=64, verbose=False)
    model, facts = load(path)
    logits(model, token_ids(model, 8), 0)
    other.close()
    return facts


def status_only(version: str | None = None) -> dict[str, Any]:
    if version:
        llama_cpp.__version__ = version
    before = row_kernels.status()
    after = row_kernels.enable()
    return {"before": before.reason, "active": after.active, "reason": after.reason, "isa": after.isa}


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
    }
    for changed, function in strange.items():

        class Library:
            def __getattr__(self, name: str) -> Any:
                return function if name == changed else getattr(real, name)  # noqa: B023

        lib._lib = Library()
        row_kernels._status = None
        out[changed] = row_kernels.enable().reason
    return out


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
