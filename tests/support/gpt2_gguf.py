"""GPT-2 of one layer with random weights, whose positions are a table."""

from __future__ import annotations

from broken_gguf import FEED, WIDTH, WORDS
from position_table import begun

PLACES = 100  # rows of the table: llama.cpp makes contexts of 256 cells and more


def gpt2() -> bytes:
    """The file."""
    made, tensor = begun("gpt2", PLACES)
    tensor("token_embd.weight", WIDTH, WORDS)
    tensor("position_embd.weight", WIDTH, PLACES)
    for name, shape in {
        "output_norm": (WIDTH,),
        "blk.0.attn_norm": (WIDTH,),
        "blk.0.ffn_norm": (WIDTH,),
        "blk.0.attn_qkv": (WIDTH, 3 * WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_up": (WIDTH, FEED),
        "blk.0.ffn_down": (FEED, WIDTH),
    }.items():
        tensor(f"{name}.weight", *shape)
        tensor(f"{name}.bias", shape[-1])
    return made.to_bytes()
