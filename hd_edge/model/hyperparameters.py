"""The sizes that a header states, with llama.cpp's defaults: of the model, and of one of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WINDOWS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2}  # the last of so many layers attends to everything
SHARING = {"gemma3n": 20}  # layers from this one on use the keys and values of others


@dataclass(frozen=True)
class Hyperparameters:
    """As llama.cpp reads them (its ``llama_model_base::load_hparams`` and ``load_arch_hparams``).

    Attributes:
        scalars: Metadata by key.
        arrays: Arrays of whole numbers by key.
    """

    scalars: Mapping[str, object]
    arrays: Mapping[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """``general.architecture``, or ``""``."""
        return str(self.scalars.get("general.architecture", ""))

    @property
    def layers(self) -> int:
        """Layers of the model itself, without those that draft for it."""
        return max(self.number("block_count") - self.number("nextn_predict_layers"), 0)

    @property
    def alternates(self) -> bool:
        """Whether the cache is made for some layers with a window and some without."""
        if self.architecture in ("gemma3", "lfm2"):
            return self.number("attention.sliding_window") > 0
        return self.architecture == "gemma4" or self.architecture in WINDOWS

    @property
    def owning(self) -> int:
        """Layers that have keys and values of their own; those behind them use what these have."""
        if self.architecture == "gemma4":
            return self.layers - self.number("attention.shared_kv_layers")
        return SHARING.get(self.architecture, self.layers)

    def array(self, name: str) -> tuple[int, ...] | None:
        """An array of the architecture."""
        return self.arrays.get(f"{self.architecture}.{name}")

    def number(self, name: str, default: int = 0) -> int:
        """A whole number of the architecture."""
        value = self.scalars.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) else default

    def of_layer(self, name: str, layer: int, default: int = 0) -> int:
        """A number that is the same in all layers, or an array of one for each."""
        values = self.array(name)
        if values is None:
            return self.number(name, default)
        return values[layer] if layer < len(values) else default

    def heads(self, layer: int) -> int:
        """Heads of attention."""
        return self.of_layer("attention.head_count", layer)

    def kv_heads(self, layer: int) -> int:
        """The same for keys and values."""
        return self.of_layer("attention.head_count_kv", layer, self.heads(layer))

    def key_length(self, layer: int) -> int:
        """Columns of a key."""
        return self._windows("attention.key_length", layer, self._column_default())

    def value_length(self, layer: int) -> int:
        """Columns of a value."""
        return self._windows("attention.value_length", layer, self._column_default())

    def rotated(self, layer: int) -> int:
        """Columns of a head that turn with the position."""
        default = self.number("attention.key_length", self._column_default())
        return self._windows("rope.dimension_count", layer, default)

    def windowed(self, layer: int) -> bool:
        """Whether a layer attends to a window only."""
        if not self.alternates:
            return False
        if self.architecture == "lfm2":
            return self.kv_heads(layer) > 0
        name = "attention.sliding_window_pattern"
        if (pattern := self.array(name)) is not None:
            return layer < len(pattern) and pattern[layer] != 0
        period = self.number(name, WINDOWS.get(self.architecture, 1))
        return period == 0 or layer % period < period - 1

    def _column_default(self) -> int:
        heads = self.heads(0)
        return self.number("embedding_length") // heads if heads else 0

    def _windows(self, name: str, layer: int, default: int) -> int:
        """Of a layer with a window or without; a first layer without attention makes it nothing."""
        everywhere = self.number(name, default) if self.heads(0) else 0
        return self.number(f"{name}_swa", everywhere) if self.windowed(layer) else everywhere
