"""Runs in a process of its own, because the kernels are installed once per process: prints what a test asserts on."""

from __future__ import annotations

import hashlib
from typing import Any

import llama_cpp
from row_kernels_child import different_rows, logits, token_ids

from hd_edge.backend import kernels as row_kernels


def status() -> dict[str, Any]:
    return {"active": row_kernels.enable().active}


def promised(path: str, lora: str | None = None, threads: int = 2, **settings: Any) -> dict[str, Any]:
    """Default mode: what it promises, and where rows differ."""
    from hd_edge import Llama

    settings = {"n_ctx": 256, "n_threads": threads, "n_threads_batch": threads, "lora_path": lora} | settings
    with Llama(path, store=None, **settings) as llm:
        return {"exact": llm.exact, "different": different_rows(llm)}


def plain(path: str, ours: bool) -> str:
    """A digest of plain llama_cpp's logits, with a model of ours beside it or without."""
    from hd_edge import Llama

    beside = Llama(path, store=None, n_ctx=64, n_threads=2, n_threads_batch=2) if ours else None
    model = llama_cpp.Llama(path, n_ctx=128, n_threads=2, n_threads_batch=2, flash_attn=True, verbose=False)
    digest = hashlib.sha256(logits(model, token_ids(model, 20), 0).tobytes()).hexdigest()
    if beside is not None:
        beside.close()
    model.close()
    return digest
