"""What the architectures hold, tensor by tensor, as llama.cpp loads them (src/models/*.cpp)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .blocks import more_bits
from .gemma4 import add_gemma4_keys, add_gemma4_layer, add_gemma4_model

if TYPE_CHECKING:
    from .maker import Maker

POST_NORMS = ("gemma3", "gemma4")  # a norm behind attention and feed-forward
HEAD_NORMS = ("qwen35", "qwen35moe", "qwen3moe", "gemma3", "gemma4", "lfm2")
NORM_BEFORE = {"qwen35": "post_attention_norm", "qwen35moe": "post_attention_norm", "gpt-oss": "post_attention_norm"}
CONVOLVED = 4  # tokens that the convolution of a recurrent layer sees
SHORT = 3  # the same of LFM2's


def add_model(m: Maker) -> None:
    """Header and tensors of the maker's shape."""
    s = m.shape
    _add_keys(m)
    m.matrix("token_embd.weight", m.tokens, s.width, spread=s.embedding)
    for layer in range(s.layers):
        block = f"blk.{layer}."
        m.ones(block + "attn_norm.weight", s.width)
        if s.recurrent(layer):
            {"lfm2": _short_convolution, "mamba2": _mamba, "granitehybrid": _mamba}.get(s.kind, _delta_net)(m, block)
        else:
            _attention(m, layer, more_bits(layer, s.layers))
        if s.kind == "mamba2":
            continue
        m.ones(f"{block}{NORM_BEFORE.get(s.kind, 'ffn_norm')}.weight", s.width)
        if not s.experts or s.kind == "gemma4":  # there beside the experts
            _dense(m, layer, more_bits(layer, s.layers))
        if s.experts:
            _experts(m, block, more_bits(layer, s.layers))
        for name in ("post_attention_norm", "post_ffw_norm") if s.kind in POST_NORMS else ():
            m.ones(f"{block}{name}.weight", s.width)
        if s.kind == "gemma4":
            add_gemma4_layer(m, layer)
    if s.kind == "gemma4":
        add_gemma4_model(m)
    m.ones("token_embd_norm.weight" if s.kind == "lfm2" else "output_norm.weight", s.width)
    m.matrix("output.weight", m.tokens, s.width, m.head)


def _add_keys(m: Maker) -> None:
    s = m.shape
    kv_heads = [s.kv_heads_of(layer) for layer in range(s.layers)]
    inside = [s.feed_forward_of(layer) for layer in range(s.layers)]
    m.keys(
        context_length=s.context,
        embedding_length=s.width,
        block_count=s.layers,
        feed_forward_length=inside if s.sharing else s.feed_forward,
        attention__head_count=s.heads,
        attention__head_count_kv=kv_heads if s.full_kv_heads or s.kind in ("lfm2", "granitehybrid") else s.kv_heads,
        attention__layer_norm_rms_epsilon=1e-5,
    )
    if s.heads:
        m.keys(rope__dimension_count=s.columns)
    if s.head:
        m.keys(attention__key_length=s.head, attention__value_length=s.head)
    if s.experts:
        m.keys(expert_count=s.experts, expert_used_count=s.used)
        if s.kind != "llama":
            m.keys(expert_feed_forward_length=s.feed_forward)
    if s.shared:
        m.keys(expert_shared_feed_forward_length=s.shared)
    if s.window:
        m.keys(attention__sliding_window=s.window)
    if s.kind == "gemma4":
        add_gemma4_keys(m)
    if s.kind in ("qwen35", "qwen35moe"):
        part = s.columns // 8
        m.keys(rope__dimension_sections=[2 * part, part, part, 0], full_attention_interval=s.period)
    if s.kind == "lfm2":
        m.keys(shortconv__l_cache=SHORT)
    if s.inner:
        m.keys(
            ssm__conv_kernel=CONVOLVED,
            ssm__inner_size=s.inner,
            ssm__state_size=s.state,
            ssm__time_step_rank=s.state_heads,
            ssm__group_count=s.groups,
        )


def _attention(m: Maker, layer: int, more: bool) -> None:
    s, block = m.shape, f"blk.{layer}."
    columns = s.columns_of(layer)
    own, kv = columns * s.heads, columns * s.kv_heads_of(layer)
    gated = 2 if s.kind.startswith("qwen35") else 1
    m.matrix(block + "attn_q.weight", gated * own, s.width)
    if not s.shares(layer):
        m.matrix(block + "attn_k.weight", kv, s.width)
        if s.windowed(layer) or not s.full_kv_heads:
            m.matrix(block + "attn_v.weight", kv, s.width, m.more if more else m.body)
    m.matrix(block + "attn_output.weight", s.width, own)
    if s.kind in HEAD_NORMS:
        m.ones(block + "attn_q_norm.weight", columns)
        if not s.shares(layer):
            m.ones(block + "attn_k_norm.weight", columns)
    if s.kind == "gpt-oss":
        m.floats(block + "attn_sinks.weight", s.heads)
        for name, rows in (("attn_q", own), ("attn_k", kv), ("attn_v", kv), ("attn_output", s.width)):
            m.floats(f"{block}{name}.bias", rows)


def _dense(m: Maker, layer: int, more: bool) -> None:
    s, block = m.shape, f"blk.{layer}."
    inside = s.feed_forward_of(layer)
    m.matrix(block + "ffn_gate.weight", inside, s.width)
    m.matrix(block + "ffn_up.weight", inside, s.width)
    m.matrix(block + "ffn_down.weight", s.width, inside, m.more if more else m.body)


def _experts(m: Maker, block: str, more: bool) -> None:
    s = m.shape
    m.floats(block + "ffn_gate_inp.weight", s.experts, s.width)
    if s.kind == "gemma4":
        m.matrix(block + "ffn_gate_up_exps.weight", 2 * s.feed_forward, s.width, m.experts, experts=s.experts)
    else:
        m.matrix(block + "ffn_gate_exps.weight", s.feed_forward, s.width, m.experts, experts=s.experts)
        m.matrix(block + "ffn_up_exps.weight", s.feed_forward, s.width, m.experts, experts=s.experts)
    kind = m.more_experts if more else m.experts
    m.matrix(block + "ffn_down_exps.weight", s.width, s.feed_forward, kind, experts=s.experts)
    if s.kind == "gpt-oss":
        m.floats(block + "ffn_gate_inp.bias", s.experts)
        for name, rows in (("gate", s.feed_forward), ("up", s.feed_forward), ("down", s.width)):
            m.floats(f"{block}ffn_{name}_exps.bias", s.experts, rows)
    if s.shared:
        m.floats(block + "ffn_gate_inp_shexp.weight", s.width)
        m.matrix(block + "ffn_gate_shexp.weight", s.shared, s.width)
        m.matrix(block + "ffn_up_shexp.weight", s.shared, s.width)
        m.matrix(block + "ffn_down_shexp.weight", s.width, s.shared)


def _delta_net(m: Maker, block: str) -> None:
    """Gated delta net of Qwen3.5."""
    s = m.shape
    keys, values = s.state * s.groups, s.state * s.state_heads
    m.matrix(block + "attn_qkv.weight", 2 * keys + values, s.width)
    m.matrix(block + "attn_gate.weight", values, s.width)
    m.floats(block + "ssm_conv1d.weight", 2 * keys + values, CONVOLVED, spread=0.3)
    m.floats(block + "ssm_dt.bias", s.state_heads)
    m.floats(block + "ssm_a", s.state_heads, around=-0.5)
    m.floats(block + "ssm_beta.weight", s.state_heads, s.width)
    m.floats(block + "ssm_alpha.weight", s.state_heads, s.width)
    m.ones(block + "ssm_norm.weight", s.state)
    m.matrix(block + "ssm_out.weight", s.width, values)


def _mamba(m: Maker, block: str) -> None:
    """Mamba 2, alone or in Granite's hybrids."""
    s = m.shape
    convolved = s.inner + 2 * s.groups * s.state
    m.matrix(block + "ssm_in.weight", s.inner + convolved + s.state_heads, s.width)
    m.floats(block + "ssm_conv1d.weight", convolved, CONVOLVED, spread=0.3)
    m.floats(block + "ssm_conv1d.bias", convolved)
    m.floats(block + "ssm_dt.bias", s.state_heads)
    m.floats(block + "ssm_a", s.state_heads, 1, around=-0.5)
    m.floats(block + "ssm_d", s.state_heads, 1)
    m.ones(block + "ssm_norm.weight", s.groups, s.inner // s.groups)
    m.matrix(block + "ssm_out.weight", s.width, s.inner)


def _short_convolution(m: Maker, block: str) -> None:
    """LFM2's gated short convolution."""
    s = m.shape
    m.floats(block + "shortconv.conv.weight", s.width, SHORT, spread=0.5)
    m.matrix(block + "shortconv.in_proj.weight", 3 * s.width, s.width)
    m.matrix(block + "shortconv.out_proj.weight", s.width, s.width)
