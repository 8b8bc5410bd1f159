#!/usr/bin/env python3
"""Writes a model with random weights of a real shape: its forward costs what a real one costs, its text is noise.

    make_random_gguf.py llama-2-7b Q4_0 out.gguf --vocab ggml-vocab-llama-spm.gguf

A vocab-only GGUF brings a real tokenizer; without one, a small synthetic vocabulary is made.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from random_gguf.architectures import add_model
from random_gguf.blocks import MIXES, PURE, RandomBlocks
from random_gguf.maker import Maker
from random_gguf.shape import SHAPES, Shape

__all__ = ["SHAPES", "RandomBlocks", "Shape", "write"]


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
    maker = Maker(path, shape, kind, vocab=vocab, pure=pure, seed=seed)
    add_model(maker)
    maker.close()


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
        shape = shape.with_layers(args.layers)
    write(args.out, shape, args.type, vocab=args.vocab, pure=args.pure, seed=args.seed)
    print(f"{args.out}: {args.out.stat().st_size / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
