"""GPT-2 of one layer with random weights, whose positions are a table."""

from __future__ import annotations

import numpy as np
from broken_gguf import FEED, FLOAT32, HEADS, STRING, UINT32, WIDTH, WORDS, Tensor, sound

PLACES = 100  # rows of the table: llama.cpp makes contexts of 256 cells and more


def gpt2() -> bytes:
    """The file."""
    made = sound()
    made.keys, made.tensors = [key for key in made.keys if not key[0].startswith(b"llama.")], []
    made.set("general.architecture", STRING, "gpt2")
    for name, value in (
        ("context_length", PLACES),
        ("embedding_length", WIDTH),
        ("feed_forward_length", FEED),
        ("block_count", 1),
        ("attention.head_count", HEADS),
    ):
        made.set(f"gpt2.{name}", UINT32, value)
    made.set("gpt2.attention.layer_norm_epsilon", FLOAT32, 1e-5)
    random = np.random.default_rng(3)

    def tensor(name: str, *shape: int) -> None:
        values = random.standard_normal(shape[::-1]).astype("<f4") * 0.2
        made.tensors.append(Tensor(name.encode(), shape, values.tobytes()))

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
