"""Exact mode: the settings under which n rows give, bit for bit, the logits of n single steps on the CPU.

What llama.cpp does differently for one row and for several, and what turns it off, was measured kernel by kernel; see
docs/lossless.md. This module decides from the model file what is needed, and refuses where it cannot be had.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import llama_cpp

from .errors import ExactModeError
from .gguf_file import GGUFHeader

F32, F16, Q8_0, BF16 = 0, 1, 8, 30  # ggml_type
TILED_SWITCH = "GGML_CPU_TILED_MM"

# (type_k, type_v): off the CPU's split-KV attention path, which one row takes from 512 cells on when K and V have one
# type, F16 or F32.
ROW_INDEPENDENT_KV = {(Q8_0, Q8_0), (F16, Q8_0), (F16, BF16)}


@dataclass(frozen=True)
class ExactSettings:
    """What exact mode takes away for one model file, and why.

    Attributes:
        type_k: ggml type of the K cache.
        type_v: ggml type of the V cache.
        repacking: Whether llama.cpp may repack weights on loading.
        tiled: Whether llama.cpp's tiled K-quant matrix product may stay on.
        reasons: One line per setting, for ``hd-edge doctor``.
    """

    type_k: int
    type_v: int
    repacking: bool
    tiled: bool
    reasons: tuple[str, ...]


def plan(header: GGUFHeader, settings: dict[str, Any]) -> ExactSettings:
    """Decides what exact mode needs for a model file, given the constructor's settings.

    Raises:
        ExactModeError: A tensor type or a setting rules it out.
    """
    floats = sorted(header.matrix_types & {"F32", "F16", "BF16"})
    if floats:
        msg = (
            f"exact mode needs quantised weights, this file holds {' and '.join(floats)} matrices: two "
            "or more rows of those go through another kernel than one row. Use a quantised file, or exact=False"
        )
        raise ExactModeError(msg)
    if settings.get("n_gpu_layers", 0) != 0:
        msg = (
            f"exact mode is for the CPU, n_gpu_layers is {settings['n_gpu_layers']}: GPU kernels change with "
            "the number of rows. Use n_gpu_layers=0, or exact=False"
        )
        raise ExactModeError(msg)
    if not settings.get("flash_attn", True):
        msg = "exact mode needs flash attention, flash_attn is False: leave it out, or use exact=False"
        raise ExactModeError(msg)
    kv = (settings.get("type_k"), settings.get("type_v"))
    type_k = Q8_0 if kv[0] is None else int(kv[0])
    type_v = Q8_0 if kv[1] is None else int(kv[1])
    if (type_k, type_v) not in ROW_INDEPENDENT_KV:
        msg = (
            f"exact mode needs type_k, type_v = q8_0, q8_0 (8, 8) or F16, q8_0 (1, 8), got {type_k}, {type_v}: with "
            "others one row takes llama.cpp's split-KV attention. Leave them out, or use exact=False"
        )
        raise ExactModeError(msg)
    types = header.matrix_types
    k_quants = sorted(t for t in types if t.endswith("_K") or t.startswith("IQ"))
    repacked = sorted(types & {"Q4_K", "Q2_K"})
    reasons = ["flash attention on: attention without it changes with the number of rows"]
    reasons.append(f"KV cache {type_k}/{type_v}: off the split-KV path of one row")
    if k_quants:
        reasons.append(f"tiled matrix product off: the file has {', '.join(k_quants)}")
    if repacked:
        reasons.append(f"weight repacking off: the file has {', '.join(repacked)}")
    return ExactSettings(type_k, type_v, not repacked, not k_quants, tuple(reasons))


def switch_tiling_off() -> None:
    """Turns llama.cpp's tiled matrix product off for this process; it reads the switch at its first matrix product."""
    os.environ[TILED_SWITCH] = "0"


def check_rows(llama: llama_cpp.Llama, rows: int = 8) -> None:
    """Compares, bit by bit, the last logits of one forward of `rows` rows with those of a single step.

    The settings above are what was measured; this is the proof on the user's own machine, file and library. It costs
    about two forwards and leaves the KV cache empty.

    Raises:
        ExactModeError: The logits differ.
    """
    rows = min(rows, llama.n_batch, llama.n_ctx())
    tokens = [1 + i % max(llama.n_vocab() - 1, 1) for i in range(rows)]
    n_vocab = llama.n_vocab()

    def last_logits() -> bytes:
        row = llama._ctx.get_logits_ith(-1)
        return bytes(
            (llama_cpp.llama_cpp.ctypes.c_float * n_vocab).from_address(
                llama_cpp.llama_cpp.ctypes.addressof(row.contents)
            )
        )

    llama.reset()
    llama.eval(tokens)
    several = last_logits()
    llama.n_tokens = rows - 1
    llama.eval(tokens[-1:])
    one = last_logits()
    llama._ctx.kv_cache_clear()
    llama.reset()
    if several != one:
        hint = ""
        if os.environ.get(TILED_SWITCH) == "0":
            hint = (
                f" Another model may have run in this process before {TILED_SWITCH}=0 was set: load the exact model "
                "first, or set the variable before Python starts."
            )
        msg = f"exact mode is not to be had here: the logits of {rows} rows differ from those of a single step.{hint}"
        raise ExactModeError(msg)
