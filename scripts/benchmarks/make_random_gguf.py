#!/usr/bin/env python3
"""Writes a model with random weights of a real shape: its forward costs what a real one costs, its text is noise.

    make_random_gguf.py llama-2-7b Q4_0 out.gguf --vocab ggml-vocab-llama-spm.gguf

A vocab-only GGUF brings a real tokenizer; without one, a small synthetic vocabulary is made.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

SPREAD = 0.02  # standard deviation of the weights, about that of a trained model


@dataclass(frozen=True)
class Shape:
    """A Llama: sizes as in its GGUF header. With experts, two of them serve a token."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    context: int = 4096
    experts: int = 0


SHAPES = {
    "llama-2-7b": Shape(32, 4096, 11008, 32, 32),
    "llama-2-13b": Shape(40, 5120, 13824, 40, 40),
    "7b-4layers": Shape(4, 4096, 11008, 32, 32),
    "tiny": Shape(4, 1024, 2816, 16, 16),
}
# As llama-quantize mixes them: (most tensors, attn_v and ffn_down of the layers that get more bits, output head).
MIXES = {
    "Q4_0": ("Q4_0", "Q4_0", "Q6_K"),
    "Q4_1": ("Q4_1", "Q4_1", "Q6_K"),
    "IQ4_NL": ("IQ4_NL", "IQ4_NL", "Q6_K"),
    "Q4_K_M": ("Q4_K", "Q6_K", "Q6_K"),
    "Q5_K_M": ("Q5_K", "Q6_K", "Q6_K"),
}
PURE = ("Q4_0", "Q4_1", "Q8_0", "IQ4_NL", "Q4_K", "Q5_K", "Q6_K")


class RandomBlocks:
    """Quantised blocks of one type with random bits and sane scales; tensors are slices of one pool."""

    def __init__(self, kind: Type, rng: np.random.Generator, elements: int) -> None:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        self.block, self.size, self.rng = block, size, rng
        count = elements // block + 4096
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for at, scale in _scales(kind):
            jitter = rng.uniform(0.8, 1.2, count)
            blocks[:, at : at + 2] = (scale * jitter).astype(np.float16).view(np.uint8).reshape(count, 2)
        self.pool = blocks

    def tensor(self, rows: int, columns: int) -> np.ndarray[Any, Any]:
        """Raw bytes of a tensor, one array row per weight row."""
        n = rows * columns // self.block
        start = int(self.rng.integers(0, 4096))
        return self.pool[start : start + n].reshape(rows, columns // self.block * self.size)


def _scales(kind: Type) -> list[tuple[int, float]]:
    """Where a block keeps its half-precision numbers, and which size gives weights of SPREAD."""
    nibble, six_bits = SPREAD / 4.6, 32
    return {
        Type.Q4_0: [(0, nibble)],
        Type.Q4_1: [(0, nibble), (2, -7.5 * nibble)],
        Type.Q8_0: [(0, SPREAD / 74)],
        Type.IQ4_NL: [(0, SPREAD / 69)],
        Type.Q4_K: [(0, nibble / six_bits), (2, 7.5 * nibble / six_bits)],
        Type.Q5_K: [(0, nibble / six_bits / 2), (2, 7.5 * nibble / six_bits)],
        Type.Q6_K: [(208, SPREAD / 18.5 / 74)],
    }[kind]


def _more_bits(layer: int, layers: int) -> bool:
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _add_vocabulary(writer: gguf.GGUFWriter, vocab: Path | None) -> int:
    """Copies a tokenizer, or makes one of bytes and numbered words; returns the number of tokens."""
    if vocab is None:
        special = [b"<unk>", b"<s>", b"</s>"]
        letters = [f"<0x{i:02X}>".encode() for i in range(256)]
        words = [f"\u2581w{i}".encode() for i in range(1024 - 259)]
        writer.add_tokenizer_model("llama")
        writer.add_token_list(special + letters + words)
        writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(len(words))])
        writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * len(words))
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        return 1024
    reader = gguf.GGUFReader(vocab)
    count = 0
    for name, field in reader.fields.items():
        if not name.startswith("tokenizer."):
            continue
        value = field.contents()
        if name == "tokenizer.ggml.tokens":
            count = len(value)
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type=element)
    return count


def write(path: Path, shape: Shape, kind: str, *, vocab: Path | None = None, pure: bool = False, seed: int = 1) -> None:
    """Writes the file.

    Args:
        path: Where to.
        shape: One of SHAPES, or another.
        kind: A pure type, or a mix of llama-quantize by its name.
        vocab: A GGUF whose tokenizer is copied; None makes a small one.
        pure: Every matrix in the type itself, the output head too.
        seed: The same seed gives the same file.

    Raises:
        ValueError: Unknown type, or one that does not divide the width.
    """
    names = (kind,) * 3 if pure or kind not in MIXES else MIXES[kind]
    unknown = [name for name in names if name not in PURE]
    if unknown:
        message = f"type {kind!r} is none of {', '.join(sorted({*PURE, *MIXES}))}"
        raise ValueError(message)
    body, more, head = (Type[name] for name in names)
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random {shape.layers}x{shape.width} {kind}")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    if shape.experts:
        writer.add_expert_count(shape.experts)
        writer.add_expert_used_count(2)
    tokens = _add_vocabulary(writer, vocab)
    writer.add_vocab_size(tokens)

    feed_forward = shape.feed_forward * max(1, shape.experts)
    largest = {head: tokens * shape.width, body: max(tokens, feed_forward) * shape.width}
    largest[more] = max(largest.get(more, 0), feed_forward * shape.width)
    blocks = {t: RandomBlocks(t, rng, n) for t, n in largest.items()}

    def matrix(name: str, rows: int, columns: int, kind: Type, experts: int = 0) -> None:
        if columns % blocks[kind].block:
            message = f"{name}: {columns} columns are no multiple of {blocks[kind].block}, as {kind.name} needs"
            raise ValueError(message)
        data = blocks[kind].tensor(rows * max(1, experts), columns)
        writer.add_tensor(name, data.reshape(experts, rows, -1) if experts else data, raw_dtype=kind)

    kv = shape.width // shape.heads * shape.kv_heads
    ones = np.ones(shape.width, dtype=np.float32)
    matrix("token_embd.weight", tokens, shape.width, body)
    for i in range(shape.layers):
        extra = more if _more_bits(i, shape.layers) else body
        writer.add_tensor(f"blk.{i}.attn_norm.weight", ones)
        matrix(f"blk.{i}.attn_q.weight", shape.width, shape.width, body)
        matrix(f"blk.{i}.attn_k.weight", kv, shape.width, body)
        matrix(f"blk.{i}.attn_v.weight", kv, shape.width, extra)
        matrix(f"blk.{i}.attn_output.weight", shape.width, shape.width, body)
        writer.add_tensor(f"blk.{i}.ffn_norm.weight", ones)
        each = "_exps" if shape.experts else ""
        if shape.experts:
            router = rng.standard_normal((shape.experts, shape.width)).astype(np.float32) * SPREAD
            writer.add_tensor(f"blk.{i}.ffn_gate_inp.weight", router)
        matrix(f"blk.{i}.ffn_gate{each}.weight", shape.feed_forward, shape.width, body, shape.experts)
        matrix(f"blk.{i}.ffn_up{each}.weight", shape.feed_forward, shape.width, body, shape.experts)
        matrix(f"blk.{i}.ffn_down{each}.weight", shape.width, shape.feed_forward, extra, shape.experts)
    writer.add_tensor("output_norm.weight", ones)
    matrix("output.weight", tokens, shape.width, head)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("type", choices=sorted({*PURE, *MIXES}))
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocab", type=Path, help="GGUF whose tokenizer is copied")
    parser.add_argument("--pure", action="store_true", help="the output head in the same type, too")
    parser.add_argument("--layers", type=int, help="another number of layers")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    if args.layers:
        shape = replace(shape, layers=args.layers)
    write(args.out, shape, args.type, vocab=args.vocab, pure=args.pure, seed=args.seed)
    print(f"{args.out}: {args.out.stat().st_size / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
