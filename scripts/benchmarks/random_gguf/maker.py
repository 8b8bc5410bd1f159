"""Maker: writes the header and the tensors of one random model; what an architecture holds stands in its own file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from .blocks import MIXES, PURE, RandomBlocks
from .vocabulary import add_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from .shape import Shape


class Maker:
    """One file.

    Args:
        path: Where to.
        shape: Its sizes.
        kind: A pure type, or a mix of llama-quantize by its name.
        vocab: A GGUF whose tokenizer is copied; None makes a small one.
        pure: Every matrix in the type itself, the output head too.
        seed: The same seed gives the same file.

    Raises:
        ValueError: Unknown type.
    """

    def __init__(self, path: Path, shape: Shape, kind: str, *, vocab: Path | None, pure: bool, seed: int) -> None:
        names = (kind,) * 3 if pure or kind not in MIXES else MIXES[kind]
        unknown = [name for name in names if name not in PURE]
        if unknown:
            message = f"type {kind!r} is none of {', '.join(sorted({*PURE, *MIXES}))}"
            raise ValueError(message)
        self.shape = shape
        self.body, self.more, self.head = (Type[name] for name in names)
        self.experts = Type.MXFP4 if kind == "MXFP4" else self.body
        self.more_experts = Type.MXFP4 if kind == "MXFP4" else self.more
        self._rng = np.random.default_rng(seed)
        self._pools: dict[tuple[Type, float], RandomBlocks] = {}
        self._writer = gguf.GGUFWriter(path, shape.kind)
        self._writer.add_name(f"random {shape.kind} {shape.layers}x{shape.width} {kind}")
        self.tokens = add_vocabulary(self._writer, vocab)
        self._writer.add_vocab_size(self.tokens)

    def keys(self, **values: Any) -> None:
        """Keys of the architecture: ``__`` stands for the dot, ints are uint32, lists arrays of int32."""
        for name, value in values.items():
            key = f"{self.shape.kind}.{name.replace('__', '.')}"
            if isinstance(value, float):
                self._writer.add_float32(key, value)
            elif isinstance(value, list):
                self._writer.add_array(key, value)
            else:
                self._writer.add_uint32(key, value)

    def matrix(
        self, name: str, rows: int, columns: int, kind: Type | None = None, *, experts: int = 0, spread: float = 0.0
    ) -> None:
        """A matrix of weights, or one per expert."""
        kind, spread = self.body if kind is None else kind, spread or self.shape.spread
        block, _ = gguf.GGML_QUANT_SIZES[kind]
        if columns % block:
            message = f"{name}: {columns} columns are no multiple of {block}, as {kind.name} needs"
            raise ValueError(message)
        n = rows * max(1, experts)
        pool = self._pools.get((kind, spread))
        if pool is None or pool.blocks * block < n * columns:
            pool = self._pools[kind, spread] = RandomBlocks(kind, self._rng, n * columns, spread)
        data = pool.tensor(n, columns)
        self._writer.add_tensor(name, data.reshape(experts, rows, -1) if experts else data, raw_dtype=kind)

    def floats(self, name: str, *shape: int, spread: float = 0.0, around: float = 0.0) -> None:
        """An F32 tensor, the last extent being its columns."""
        values = self._rng.standard_normal(shape) * (spread or self.shape.spread) + around
        self.given(name, values.astype(np.float32))

    def ones(self, name: str, *shape: int) -> None:
        """A norm's weights."""
        self.given(name, np.ones(shape, dtype=np.float32))

    def given(self, name: str, values: np.ndarray[Any, Any]) -> None:
        """A tensor of these values."""
        self._writer.add_tensor(name, values)

    def close(self) -> None:
        """Writes everything."""
        self._writer.write_header_to_file()
        self._writer.write_kv_data_to_file()
        self._writer.write_tensors_to_file()
        self._writer.close()
