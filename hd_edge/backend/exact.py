"""Exact mode: the settings under which n rows give, bit for bit, the logits of n single steps on the CPU.

What llama.cpp does differently for one row and for several, and what turns it off, was measured kernel by kernel; see
docs/lossless.md. This module decides from the model file what is needed, and refuses where it cannot be had.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llama_cpp

from hd_edge.errors import ConfigError, ExactModeError

from .kernels import Status, computes_attention
from .memory import keeps_state

if TYPE_CHECKING:
    from hd_edge.model.gguf import GGUFHeader

F32, F16, Q8_0, BF16 = 0, 1, 8, 30  # ggml_type
NAMES = {F32: "F32", F16: "F16", Q8_0: "q8_0", BF16: "BF16"}
FLOATS = frozenset(("F32", "F16", "BF16"))
OWN_ROWS = 16  # the own kernels take weights whose rows fill their panels, of at most so many
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
        tiled: Whether llama.cpp's tiled K-quant matrix product would do no harm to this file.
        own_attention: Attention is computed by kernels of ours, whose rows do not depend on each other.
        reasons: One line per setting, for ``hd-edge doctor``.
    """

    type_k: int
    type_v: int
    repacking: bool
    tiled: bool
    own_attention: bool
    reasons: tuple[str, ...]


def is_causal(header: GGUFHeader, settings: dict[str, Any]) -> bool:
    """Whether a token attends only to those before it, as the file and ``attention_type`` say."""
    kind = settings.get("attention_type", llama_cpp.LLAMA_ATTENTION_TYPE_UNSPECIFIED)
    if kind == llama_cpp.LLAMA_ATTENTION_TYPE_UNSPECIFIED:
        return header.causal
    return bool(kind == llama_cpp.LLAMA_ATTENTION_TYPE_CAUSAL)


def check_batches(header: GGUFHeader, settings: dict[str, Any]) -> None:
    """Refuses batches in parts where a token attends to those behind it: llama.cpp ends the process at them.

    Args:
        header: Of the file.
        settings: The constructor's, with ``n_batch``.

    Raises:
        ConfigError: ``n_ubatch`` is below ``n_batch``.
    """
    n_batch, n_ubatch = settings["n_batch"], settings.get("n_ubatch", 512)
    if n_ubatch < n_batch and not is_causal(header, settings):
        msg = (
            f"n_ubatch={n_ubatch} is below n_batch={n_batch}: a batch without causal attention is one piece, "
            "give both one value"
        )
        raise ConfigError(msg)


def by_default(
    header: GGUFHeader, settings: dict[str, Any], kernels: Status, lora: GGUFHeader | None = None
) -> ExactSettings | None:
    """What makes default mode exact for a model file; None where it promises nothing.

    Nothing may have to be taken away for it: our kernels compute attention over the cache types in use, and every
    product whose rows would depend on each other in llama.cpp. A quantised LoRA adapter's products are llama.cpp's.

    Args:
        header: Of the file.
        settings: The constructor's.
        kernels: Ours, as they are offered to this model.
        lora: Header of the LoRA adapter that ``settings`` names.
    """
    if lora is not None and lora.matrix_types - FLOATS:
        return None
    try:
        needed = plan(header, settings, kernels, lora)
    except ExactModeError:
        return None
    return needed if needed.own_attention and needed.repacking and needed.tiled else None


def plan(
    header: GGUFHeader, settings: dict[str, Any], kernels: Status, lora: GGUFHeader | None = None
) -> ExactSettings:
    """Decides what exact mode needs for a model file.

    Args:
        header: Of the file.
        settings: The constructor's.
        kernels: Ours, as they are offered to this model: their rows do not depend on each other.
        lora: Header of the LoRA adapter that ``settings`` names.

    Raises:
        ExactModeError: A tensor type or a setting rules it out.
    """
    own_types = kernels.types if kernels.active else ()
    # An adapter's matrices are recognised by the mark that the own attention puts on a context's memory.
    if lora is not None:
        _check_floats(lora, own_types if kernels.attention else (), f"the LoRA adapter {settings['lora_path']}")
    _check_floats(header, own_types, "this file")
    if settings.get("n_gpu_layers", 0) != 0:
        msg = (
            f"exact mode is for the CPU, n_gpu_layers is {settings['n_gpu_layers']}: GPU kernels change with "
            "the number of rows. Use n_gpu_layers=0, or exact=False"
        )
        raise ExactModeError(msg)
    if not settings.get("flash_attn", True):
        msg = "exact mode needs flash attention, flash_attn is False: leave it out, or use exact=False"
        raise ExactModeError(msg)
    if not is_causal(header, settings):
        msg = (
            "exact mode needs causal attention, which attention_type or the file rules out: a token changes with "
            "those behind it. Use exact=False"
        )
        raise ExactModeError(msg)
    if header.windowed and settings.get("swa_full") is False:
        msg = (
            "exact mode needs a full cache for the sliding window, swa_full is False: cells are reused out of the "
            "order of their tokens, and attention sums in theirs. Leave it out, or use exact=False"
        )
        raise ExactModeError(msg)
    type_k, type_v, own_attention = _cache(header, settings, kernels)
    types = {kind for name, kind in header.tensor_types.items() if not independent(name, header, own_types)}
    k_quants = sorted(t for t in types if t.endswith("_K") or t.startswith("IQ"))
    repacked = sorted(types & {"Q4_K", "Q2_K"})
    reasons = ["flash attention on: attention without it changes with the number of rows"]
    if own_attention:
        reasons.append("own attention kernel: a row's sums are the same in any number of rows, threads and branches")
    else:
        reasons.append(f"KV cache {NAMES[type_k]}/{NAMES[type_v]}: off the split-KV path of one row")
    if k_quants:
        reasons.append(f"tiled matrix product off: the file has {', '.join(k_quants)}")
    if repacked:
        reasons.append(f"weight repacking off: the file has {', '.join(repacked)}")
    if own_types:
        reasons.append("own row kernels: a row's result is the same in any number of rows")
    return ExactSettings(type_k, type_v, not repacked, not k_quants, own_attention, tuple(reasons))


def _cache(header: GGUFHeader, settings: dict[str, Any], kernels: Status) -> tuple[int, int, bool]:
    """Types of K and V for this file, and whether attention over them is ours."""
    given = [settings.get(name) for name in ("type_k", "type_v")]
    for absent in (F16, Q8_0):  # F16 is llama.cpp's default; its own attention needs another
        type_k, type_v = (absent if kind is None else int(kind) for kind in given)
        own = kernels.active and _attends(header, type_k, type_v)
        if own or (type_k, type_v) in ROW_INDEPENDENT_KV:
            return type_k, type_v, own
    msg = (
        f"exact mode needs type_k, type_v = q8_0, q8_0 (8, 8) or F16, q8_0 (1, 8), got {type_k}, {type_v}: with "
        "others one row takes llama.cpp's split-KV attention. Leave them out, or use exact=False"
    )
    raise ExactModeError(msg)


def _attends(header: GGUFHeader, type_k: int, type_v: int) -> bool:
    """Whether our kernels compute attention over such a cache; no where the header leaves the size of a head open."""
    prefix = header.architecture
    heads, width = (header.scalars.get(f"{prefix}.{name}") for name in ("attention.head_count", "embedding_length"))
    if not isinstance(heads, int) or not isinstance(width, int) or heads < 1:
        return False
    for layers in ("", "_swa"):  # those with a sliding window may have heads of another size
        names = [f"{prefix}.attention.{of}_length" for of in ("key", "value")]
        sizes = [header.scalars.get(name + layers, header.scalars.get(name, width // heads)) for name in names]
        size_k, size_v = (size if isinstance(size, int) else 0 for size in sizes)
        if not computes_attention(type_k, type_v, size_k, size_v):
            return False
    return True


def independent(name: str, header: GGUFHeader, own_types: Collection[str]) -> bool:
    """True where no product depends on rows: a vector, one of the own kernels' weights, or float weights of experts."""
    kind, shape = header.tensor_types[name], header.dimensions[name]
    if len(shape) == 1:
        return True
    experts = len(shape) == 3 and "_exps" in name  # other stacks of matrices are no operand of MUL_MAT_ID
    if kind in FLOATS:  # experts' products go row by row in llama.cpp
        return experts or (kind in own_types and len(shape) == 2)
    return kind in own_types and (len(shape) == 2 or experts) and shape[1] % OWN_ROWS == 0


def _check_floats(header: GGUFHeader, own_types: Collection[str], what: str) -> None:
    """Raises ExactModeError where llama.cpp would multiply with float matrices."""
    shapes = header.dimensions
    left = {
        kind: shapes[name]
        for name, kind in header.tensor_types.items()
        if kind in FLOATS and not independent(name, header, own_types)
    }
    if not left:
        return
    cure = "Use quantised weights, or exact=False"
    if not own_types:
        cure = "Use hd_edge's row kernels (see hd-edge doctor), quantised weights, or exact=False"
    msg = (
        f"exact mode needs weights whose rows do not depend on each other, {what} holds {' and '.join(sorted(left))} "
        f"matrices for llama.cpp's kernels (as {next(iter(left.values()))}): two or more rows of those go through "
        f"another kernel than one row. {cure}"
    )
    raise ExactModeError(msg)


def switch_tiling_off() -> None:
    """Turns llama.cpp's tiled matrix product off for this process; it reads the switch at its first matrix product.

    Every exact model does so, also one that does not need it: the next one may.
    """
    os.environ[TILED_SWITCH] = "0"


def check_rows(llama: llama_cpp.Llama, widths: tuple[int, ...] = (9, 16)) -> None:
    """Compares, bit by bit, the last logits of one forward of several rows with those of a single step.

    The settings above are what was measured; this is the proof on the user's own machine, file and library. It costs
    two forwards per width, three where a recurrent state cannot go back to the single step, and leaves the memory
    empty. The widths are no round numbers of rows: llama.cpp's kernels take rows in groups, and the last row of a full
    group can come out equal where others do not.

    Raises:
        ExactModeError: The logits differ.
    """
    n_vocab = llama.n_vocab()
    for width in widths:
        rows = min(width, llama.n_batch, llama.n_ctx())
        tokens = [(1 + 7919 * i) % n_vocab for i in range(rows)]
        llama.reset()
        llama.eval(tokens)
        several = _last_logits(llama)
        llama.n_tokens = rows - 1
        if keeps_state(llama):
            llama._ctx.kv_cache_clear()
            llama.reset()
            llama.eval(tokens[:-1])
        llama.eval(tokens[-1:])
        one = _last_logits(llama)
        llama._ctx.kv_cache_clear()
        llama.reset()
        if several != one:
            hint = ""
            if os.environ.get(TILED_SWITCH) == "0":
                hint = (
                    f" Another model may have run in this process before {TILED_SWITCH}=0 was set: load the exact "
                    "model first, or set the variable before Python starts."
                )
            msg = f"exact mode is unavailable here: the logits of {rows} rows differ from those of a single step.{hint}"
            raise ExactModeError(msg)


def _last_logits(llama: llama_cpp.Llama) -> bytes:
    row = llama._ctx.get_logits_ith(-1)
    floats = llama_cpp.llama_cpp.ctypes.c_float * llama.n_vocab()
    return bytes(floats.from_address(llama_cpp.llama_cpp.ctypes.addressof(row.contents)))
