"""Sizes of a header that do not fit each other or the tensors: llama.cpp compares most of them itself, not these.

What it leaves out it finds as it builds the graph or computes it, in an assertion that ends the process. Each rule
stands for one, in its src/models/ unless told otherwise, and holds for the architectures that it names: of
others nothing is said. Where a tensor is absent nothing is compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from .architectures import (
    ATTENTION,
    DELTA_NETS,
    DIVIDING,
    DOUBLED,
    GRANITES,
    KNOWN,
    LEAST,
    MAMBA_2,
    MIXTURES,
    ONE_LENGTH,
    WHOLE,
)
from .hyperparameters import Hyperparameters
from .soundness import UnsoundError, refuse

Dimensions = Mapping[str, tuple[int, ...]]
OF_EXPERTS = ("expert_feed_forward_length", "feed_forward_length", "expert_used_count")
MOST_WINDOW = 1 << 24  # tokens, more than any context


def check_dimensions(scalars: Mapping[str, object], arrays: Mapping[str, tuple[int, ...]], shapes: Dimensions) -> None:
    """Compares the sizes of a header, of layers and of tensors.

    Args:
        scalars: Metadata by key.
        arrays: Arrays of whole numbers by key.
        shapes: Of the tensors by name, row width first; of a file without any (a vocabulary) nothing is compared.

    Raises:
        UnsoundError: Names the two sizes that differ.
    """
    m = Hyperparameters(scalars, arrays)
    if not shapes or not m.layers or f"{m.architecture}.embedding_length" not in scalars:
        return  # llama.cpp itself refuses a model without them
    if m.architecture in KNOWN:
        table = shapes.get("token_embd.weight")
        if table and table[0] != m.number("embedding_length"):
            _refuse(m, "embedding_length", f"the rows of token_embd.weight have {table[0]} columns")
    if m.architecture in ATTENTION:
        for layer in range(m.layers):
            _check_attention(m, layer, shapes)
    _check_heads(m)
    _check_windows(m)
    _check_state(m)
    _check_least(m)
    _check_present(m, shapes)


def _refuse(m: Hyperparameters, name: str, what: str) -> None:
    refuse(f"{m.architecture}.{name} is {m.number(name)}, {what}")


def _check_windows(m: Hyperparameters) -> None:
    """Two caches are made, neither of no layer, and layers that share one find it among the last two that have one.

    In llama-model.cpp, ``create_memory``.
    """
    kind = m.architecture
    if kind == "gemma4" and m.array("attention.sliding_window_pattern") is None:
        return  # llama.cpp refuses it
    if m.alternates and m.number("attention.sliding_window") > MOST_WINDOW:
        _refuse(
            m, "attention.sliding_window", f"llama.cpp makes arrays of so many numbers, expected up to {MOST_WINDOW}"
        )
    if m.alternates and kind != "lfm2" and not any(m.windowed(layer) for layer in range(m.layers)):
        refuse(f"{kind}.attention.sliding_window_pattern gives none of {m.layers} layers a window")
    if kind not in ("gemma3n", "gemma4"):
        return
    if m.owning < 2:
        refuse(f"{m.owning} of {m.layers} layers have keys and values of their own, llama.cpp takes 2 or more")
    for layer in range(m.owning, m.layers):
        source = m.owning - (2 if m.windowed(layer) else 1)
        if m.windowed(source) != m.windowed(layer) or m.kv_heads(source) != m.kv_heads(layer):
            refuse(f"layer {layer} uses keys and values of layer {source}, which has another window or other heads")


def _check_least(m: Hyperparameters) -> None:
    """Numbers that may not be 0, of architectures that are loaded without a look at the tensors there are."""
    if m.architecture in MIXTURES and not (m.number("expert_count") and m.of_layer("expert_used_count", 0)):
        used = m.of_layer("expert_used_count", 0)
        _refuse(m, "expert_count", f"of which {used} are used; llama.cpp takes 1 or more of both")
    if m.architecture in ("nemotron_h", "nemotron_h_moe") and m.number("expert_count"):
        for layer in range(m.layers):
            size, whole, used = (m.of_layer(name, layer) for name in OF_EXPERTS)
            if whole and not size and not used:
                _refuse(m, "expert_count", f"of which layer {layer} uses none: llama.cpp divides by them")
    for name, least in LEAST.get(m.architecture, {}).items():
        if m.number(name, least) < least:
            _refuse(m, name, f"llama.cpp takes {least} or more")


def _check_heads(m: Hyperparameters) -> None:
    kind = m.architecture
    if kind in DIVIDING and not m.heads(0):
        refuse(f"{kind}.attention.head_count is 0, llama.cpp divides by it")
    if kind not in ONE_LENGTH or (not m.alternates and any(key.endswith("_swa") for key in m.scalars)):
        return  # which of its layers have a window is not known here
    for layer in range(m.layers) if kind == "gemma4" else (0,):
        key, value, turned = m.key_length(layer), m.value_length(layer), m.rotated(layer)
        if key != value:
            refuse(f"{kind}.attention.key_length is {key} and value_length {value} (layer {layer}), not one length")
        if kind in WHOLE and turned != key:
            refuse(f"{kind}.rope.dimension_count is {turned}, {kind}.attention.key_length {key}, not the same")
        turns = kind not in GRANITES or m.scalars.get(f"{kind}.rope.scaling.finetuned", True)
        if kind in ATTENTION and turns and not (0 < turned <= key and turned % 2 == 0):  # ggml-cpu/ops.cpp, rope
            refuse(f"{kind}.rope.dimension_count is {turned}, expected an even number up to {key}, a head's columns")
    if kind in DELTA_NETS - {"qwen3next"}:
        _check_sections(m)


def _check_sections(m: Hyperparameters) -> None:
    """Positions of an image have three numbers: ggml-cpu/ops.cpp, ``ggml_mrope_cache_init``."""
    name = "rope.dimension_sections"
    sections, most = m.array(name) or (m.number(name, 1),) * 4, m.key_length(0)
    fits = min(sections) >= 0 and sum(sections[:3]) > 0 and sum(sections) <= most
    if m.heads(0) and not fits:
        refuse(f"{m.architecture}.{name} is {[*sections]}, expected parts of {most}, a head's columns")


def _check_state(m: Hyperparameters) -> None:
    """Recurrent layers."""
    kind = m.architecture
    names = ("inner_size", "state_size", "time_step_rank", "group_count")
    inner, state, heads, groups = (m.number(f"ssm.{name}") for name in names)
    if kind in DELTA_NETS and inner != state * heads:
        _refuse(m, "ssm.inner_size", f"state_size x time_step_rank is {state} x {heads}")
    if kind in MAMBA_2 and (not heads or inner % heads):
        _refuse(m, "ssm.inner_size", f"no multiple of time_step_rank, {heads}")
    if kind in MAMBA_2 | DELTA_NETS and (not groups or heads % groups or inner % groups):
        _refuse(m, "ssm.time_step_rank", f"no multiple of group_count, {groups}")
    if kind in DOUBLED and inner != 2 * m.number("embedding_length"):
        _refuse(m, "ssm.inner_size", f"expected twice embedding_length, {m.number('embedding_length')}")
    if m.number("full_attention_interval", 1) == 0 and m.array("attention.recurrent_layers") is None:
        _refuse(m, "full_attention_interval", "llama.cpp divides by it")
    if kind in ("lfm2", "lfm2moe") and m.number("shortconv.l_cache", 2) < 2:
        _refuse(m, "shortconv.l_cache", "llama.cpp takes 2 or more")
    if kind == "lfm2moe" and m.number("leading_dense_block_count") < m.layers and not m.number("expert_count"):
        _refuse(m, "expert_count", f"only {m.number('leading_dense_block_count')} of {m.layers} layers have none")


def _check_attention(m: Hyperparameters, layer: int, shapes: Dimensions) -> None:
    """Matrices against heads: of them the graph's views are made, and the cache."""
    kind, block = m.architecture, f"blk.{layer}.attn_"
    gate = 2 if kind in DELTA_NETS else 1
    heads, kv_heads, key, value = m.heads(layer), m.kv_heads(layer), m.key_length(layer), m.value_length(layer)
    for part, axis, expected, names in (
        ("q", 1, (gate * heads, key), "head_count and key_length"),
        ("k", 1, (kv_heads, key), "head_count_kv and key_length"),
        ("v", 1, (kv_heads, value), "head_count_kv and value_length"),
        ("output", 0, (heads, value), "head_count and value_length"),
    ):
        shape = shapes.get(f"{block}{part}.weight", ())
        if len(shape) > axis and shape[axis] != expected[0] * expected[1]:
            what = f"tensor {block}{part}.weight has {shape[axis]} {('columns', 'rows')[axis]}"
            refuse(f"{what}, {kind}.attention.{names} tell of {expected[0]} x {expected[1]}")
    fused, width = shapes.get(f"{block}qkv.weight", ()), heads * key + kv_heads * (key + value)
    if kind not in DELTA_NETS and len(fused) > 1 and fused[1] != width:  # those have it in recurrent layers, too
        what = f"tensor {block}qkv.weight has {fused[1]} rows"
        refuse(f"{what}, {kind}.attention.head_count, head_count_kv and key_length tell of {width}")
    if f"{block}q.weight" in shapes and kv_heads and heads % kv_heads:
        refuse(f"{kind}.attention.head_count is {heads}, no multiple of head_count_kv, {kv_heads} (layer {layer})")


def _check_present(m: Hyperparameters, shapes: Dimensions) -> None:
    """Tensors that llama.cpp loads if they are there, and uses whether they are or not."""
    if m.architecture in DELTA_NETS and m.number("nextn_predict_layers") and "blk.0.attn_norm.weight" not in shapes:
        msg = "holds only the layers that draft for a model: give the model's own file"
        raise UnsoundError(msg)
    needed: tuple[str, ...] = ()
    if m.architecture in MAMBA_2:
        needed = ("ssm_conv1d.bias",)
    elif m.architecture in DELTA_NETS - {"qwen3next"}:
        needed = ("attn_qkv.weight", "attn_gate.weight")
    for layer in range(m.layers) if needed else ():
        block = f"blk.{layer}."
        for name in needed:
            if f"{block}ssm_conv1d.weight" in shapes and f"{block}{name}" not in shapes:
                refuse(f"it has no tensor {block}{name}, beside {block}ssm_conv1d.weight")
