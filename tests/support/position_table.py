"""Models with a table of positions: a hand-made file of such an architecture, without tensors yet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from broken_gguf import FEED, FLOAT32, HEADS, STRING, UINT32, WIDTH, Gguf, Tensor, sound


def begun(architecture: str, places: int) -> tuple[Gguf, Callable[..., None]]:
    """The file with the numbers of its architecture, and what adds a tensor of random values."""
    made = sound()
    made.keys, made.tensors = [key for key in made.keys if not key[0].startswith(b"llama.")], []
    made.set("general.architecture", STRING, architecture)
    for name, value in (
        ("context_length", places),
        ("embedding_length", WIDTH),
        ("feed_forward_length", FEED),
        ("block_count", 1),
        ("attention.head_count", HEADS),
    ):
        made.set(f"{architecture}.{name}", UINT32, value)
    made.set(f"{architecture}.attention.layer_norm_epsilon", FLOAT32, 1e-5)
    random = np.random.default_rng(3)

    def tensor(name: str, *shape: int) -> None:
        values = random.standard_normal(shape[::-1]).astype("<f4") * 0.2
        made.tensors.append(Tensor(name.encode(), shape, values.tobytes()))

    return made, tensor
