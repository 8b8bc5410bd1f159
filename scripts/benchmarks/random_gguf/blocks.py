"""Random blocks: weights of every type with sane scales, and the mixes of llama-quantize."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

SPREAD = 0.02  # standard deviation of the weights, about that of a trained model

# As llama-quantize mixes them: (most tensors, attn_v and ffn_down of the layers that get more bits, output head).
MIXES = {
    "Q4_0": ("Q4_0", "Q4_0", "Q6_K"),
    "Q4_1": ("Q4_1", "Q4_1", "Q6_K"),
    "Q5_0": ("Q5_0", "Q5_0", "Q6_K"),
    "Q5_1": ("Q5_1", "Q5_1", "Q6_K"),
    "IQ4_NL": ("IQ4_NL", "IQ4_NL", "Q6_K"),
    "IQ4_XS": ("IQ4_XS", "IQ4_XS", "Q6_K"),
    "Q4_K_M": ("Q4_K", "Q6_K", "Q6_K"),
    "Q5_K_M": ("Q5_K", "Q6_K", "Q6_K"),
    "MXFP4": ("Q8_0", "Q8_0", "Q8_0"),  # of a model with experts: they alone are MXFP4
}
FLOATS = ("F32", "F16", "BF16")
PURE = (
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "IQ4_XS", "MXFP4"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", *FLOATS),
)


class RandomBlocks:
    """Quantised blocks of one type with random bits and sane scales; tensors are slices of one pool."""

    def __init__(self, kind: Type, rng: np.random.Generator, elements: int, spread: float = SPREAD) -> None:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        self.block, self.size, self.rng = block, size, rng
        count = elements // block + 4096
        self.blocks = count
        if kind.name in FLOATS:
            self.pool = _floats(kind, rng.standard_normal(count, dtype=np.float32) * np.float32(spread))
            return
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        if kind == Type.MXFP4:  # its scale is an exponent alone
            blocks[:, 0] = 128 + round(float(np.log2(spread / 5.2)))
        for at, scale in _scales(kind):
            jitter = rng.uniform(0.8, 1.2, count)
            blocks[:, at : at + 2] = (spread * scale * jitter).astype(np.float16).view(np.uint8).reshape(count, 2)
        self.pool = blocks

    def tensor(self, rows: int, columns: int) -> np.ndarray[Any, Any]:
        """Raw bytes of a tensor, one array row per weight row."""
        n = rows * columns // self.block
        start = int(self.rng.integers(0, self.blocks - n + 1))
        return self.pool[start : start + n].reshape(rows, columns // self.block * self.size)


def _floats(kind: Type, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if kind == Type.F32:
        raw = values
    elif kind == Type.F16:
        raw = values.astype(np.float16)
    else:
        raw = (values.view(np.uint32) >> 16).astype(np.uint16)
    return raw.view(np.uint8).reshape(len(values), raw.itemsize)


def _scales(kind: Type) -> list[tuple[int, float]]:
    """Where a block keeps its half-precision numbers, and which size gives weights of a deviation of one."""
    nibble, six_bits = 1 / 4.6, 32
    return {
        Type.Q4_0: [(0, nibble)],
        Type.Q4_1: [(0, nibble), (2, -7.5 * nibble)],
        Type.Q5_0: [(0, nibble / 2)],
        Type.Q5_1: [(0, nibble / 2), (2, -15.5 * nibble / 2)],
        Type.Q8_0: [(0, 1 / 74)],
        Type.IQ4_NL: [(0, 1 / 69)],
        Type.IQ4_XS: [(0, 1 / 69 / 18.5)],
        Type.MXFP4: [],
        Type.Q2_K: [(80, 1 / 12), (82, 1.5 / 12)],
        Type.Q3_K: [(108, 1 / 42)],
        Type.Q4_K: [(0, nibble / six_bits), (2, 7.5 * nibble / six_bits)],
        Type.Q5_K: [(0, nibble / six_bits / 2), (2, 7.5 * nibble / six_bits)],
        Type.Q6_K: [(208, 1 / 18.5 / 74)],
    }[kind]


def more_bits(layer: int, layers: int) -> bool:
    """Whether llama-quantize gives attn_v and ffn_down of this layer more bits."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
