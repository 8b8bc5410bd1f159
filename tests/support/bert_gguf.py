"""A model that embeds: BERT of one layer with random weights, whose positions are a table."""

from __future__ import annotations

from broken_gguf import BOOL, FEED, UINT32, WIDTH, WORDS
from position_table import begun

PLACES = 128  # rows of the table


def bert() -> bytes:
    """The file."""
    made, tensor = begun("bert", PLACES)
    made.keys = [key for key in made.keys if key[0] != b"tokenizer.chat_template"]
    made.set("bert.vocab_size", UINT32, WORDS)
    made.set("bert.pooling_type", UINT32, 1)
    made.set("bert.attention.causal", BOOL, False)
    made.set("tokenizer.ggml.token_type_count", UINT32, 2)
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
