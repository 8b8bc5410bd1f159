"""A model that embeds: BERT of one layer with random weights, whose positions are a table."""

from __future__ import annotations

import numpy as np
from broken_gguf import BOOL, FEED, FLOAT32, HEADS, STRING, UINT32, WIDTH, WORDS, Tensor, sound

PLACES = 128  # rows of the table


def bert() -> bytes:
    """The file."""
    made = sound()
    gone = (b"llama.", b"tokenizer.chat_template")
    made.keys, made.tensors = [key for key in made.keys if not key[0].startswith(gone)], []
    made.set("general.architecture", STRING, "bert")
    for name, value in (
        ("context_length", PLACES),
        ("embedding_length", WIDTH),
        ("feed_forward_length", FEED),
        ("block_count", 1),
        ("attention.head_count", HEADS),
        ("vocab_size", WORDS),
        ("pooling_type", 1),
    ):
        made.set(f"bert.{name}", UINT32, value)
    made.set("bert.attention.layer_norm_epsilon", FLOAT32, 1e-5)
    made.set("bert.attention.causal", BOOL, False)
    made.set("tokenizer.ggml.token_type_count", UINT32, 2)
    random = np.random.default_rng(3)

    def tensor(name: str, *shape: int) -> None:
        values = random.standard_normal(shape[::-1]).astype("<f4") * 0.2
        made.tensors.append(Tensor(name.encode(), shape, values.tobytes()))

    tables = (("token_embd", WORDS), ("position_embd", PLACES), ("token_types", 2))
    for name, rows in tables:
        tensor(f"{name}.weight", WIDTH, rows)
    layer = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH))
    layer |= {"attn_output_norm": (WIDTH,), "layer_output_norm": (WIDTH,)}
    layer |= {"ffn_up": (WIDTH, FEED), "ffn_down": (FEED, WIDTH)}
    for name, shape in {
        "token_embd_norm": (WIDTH,),
        **{f"blk.0.{name}": shape for name, shape in layer.items()},
    }.items():
        tensor(f"{name}.weight", *shape)
        tensor(f"{name}.bias", shape[-1])
    return made.to_bytes()
