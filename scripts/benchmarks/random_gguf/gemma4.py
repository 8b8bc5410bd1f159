"""What Gemma 4 alone has (llama.cpp's src/models/gemma4.cpp): heads of two sizes, shared caches, layers' embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .maker import Maker

CAP = 30.0  # of the logits
ROTATED = 4  # one of so many columns of a head turns with the position, where attention is full
UNMOVED = 1e30  # divides the angle of the others


def add_gemma4_keys(m: Maker) -> None:
    """Keys of the header."""
    s = m.shape
    m.keys(
        attention__sliding_window_pattern=[s.windowed(layer) for layer in range(s.layers)],
        attention__key_length_swa=s.window_head,
        attention__value_length_swa=s.window_head,
        attention__shared_kv_layers=s.sharing,
        rope__dimension_count_swa=s.window_head,
        rope__freq_base=1e6,
        rope__freq_base_swa=1e4,
        embedding_length_per_layer_input=s.per_layer,
        final_logit_softcapping=CAP,
    )


def add_gemma4_model(m: Maker) -> None:
    """Tensors of no layer: the angles of full attention, and the embeddings that each layer has of its own."""
    s = m.shape
    turns = np.full(s.columns // 2, UNMOVED, np.float32)
    turns[: len(turns) // ROTATED] = 1.0
    m.given("rope_freqs.weight", turns)
    if s.per_layer:
        m.matrix("per_layer_token_embd.weight", m.tokens, s.per_layer * s.layers)
        m.matrix("per_layer_model_proj.weight", s.per_layer * s.layers, s.width)
        m.ones("per_layer_proj_norm.weight", s.per_layer)


def add_gemma4_layer(m: Maker, layer: int) -> None:
    """Tensors beside attention and feed-forward, and the norms around the experts."""
    s, block = m.shape, f"blk.{layer}."
    m.ones(block + "layer_output_scale.weight", 1)
    if s.per_layer:
        m.matrix(block + "inp_gate.weight", s.per_layer, s.width)
        m.matrix(block + "proj.weight", s.width, s.per_layer)
        m.ones(block + "post_norm.weight", s.width)
    if s.experts:
        m.ones(block + "ffn_gate_inp.scale", s.width)
        m.ones(block + "ffn_down_exps.scale", s.experts)
        for name in ("pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"):
            m.ones(f"{block}{name}.weight", s.width)
