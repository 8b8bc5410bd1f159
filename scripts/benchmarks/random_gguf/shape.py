"""Shape: the sizes of a model, as in its GGUF header."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .blocks import SPREAD

TINY = 0.06  # spread of the small ones: layers change the residual stream, and tokens still tell from each other


@dataclass(frozen=True)
class Shape:
    """Sizes of a model; what an architecture has not is zero.

    Attributes:
        layers: Blocks.
        width: Of the residual stream.
        feed_forward: Of the dense layers; of each expert where there are some.
        heads: Of attention.
        kv_heads: The same for keys and values.
        context: That it says to be trained on.
        experts: In each layer.
        kind: Its architecture, by llama.cpp's name.
        head: Columns of a head; 0: width / heads.
        used: Experts that serve a token.
        shared: Width of the expert that serves all.
        window: Of sliding-window attention.
        window_head: Columns of a head in layers with a window, where they differ.
        full_kv_heads: Heads for keys in layers without one, where they differ; the values are the keys there.
        period: Every so many layers, the last of them attends to everything.
        sharing: Layers at the end that use the keys and values of layers before them; twice as wide inside.
        per_layer: Width of the token embeddings that each layer has of its own.
        inner: Width of the recurrent layers.
        state: Columns of their state.
        state_heads: Heads of it.
        groups: Groups of those heads that share keys.
        spread: Standard deviation of the weights.
        embedding: The same of the token embeddings; 0: as of the others.
    """

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    context: int = 4096
    experts: int = 0
    kind: str = "llama"
    head: int = 0
    used: int = 2
    shared: int = 0
    window: int = 0
    window_head: int = 0
    full_kv_heads: int = 0
    period: int = 4
    sharing: int = 0
    per_layer: int = 0
    inner: int = 0
    state: int = 0
    state_heads: int = 0
    groups: int = 0
    spread: float = SPREAD
    embedding: float = 0.0

    def with_layers(self, layers: int) -> Shape:
        """As many layers, of which the same part shares; those before it end with one that attends to everything."""
        own = round(layers * (self.layers - self.sharing) / self.layers / self.period) * self.period
        return replace(self, layers=layers, sharing=max(layers - max(own, self.period), 0) if self.sharing else 0)

    @property
    def columns(self) -> int:
        """Columns of a head of attention."""
        return self.head or self.width // self.heads

    def windowed(self, layer: int) -> bool:
        """Whether a layer of Gemma 4 attends to a window only."""
        return self.window > 0 and (layer + 1) % self.period != 0

    def columns_of(self, layer: int) -> int:
        """Columns of a head in a layer."""
        return self.window_head if self.window_head and self.windowed(layer) else self.columns

    def kv_heads_of(self, layer: int) -> int:
        """Heads for keys and values in a layer."""
        if self.recurrent(layer):
            return 0
        return self.full_kv_heads if self.full_kv_heads and not self.windowed(layer) else self.kv_heads

    def shares(self, layer: int) -> bool:
        """Whether a layer uses the keys and values of another."""
        return layer >= self.layers - self.sharing

    def feed_forward_of(self, layer: int) -> int:
        """Width inside a layer."""
        return self.feed_forward * (2 if self.shares(layer) else 1)

    def recurrent(self, layer: int) -> bool:
        """Whether a layer keeps a state instead of keys and values."""
        if self.kind in ("qwen35", "qwen35moe", "lfm2", "granitehybrid"):
            return (layer + 1) % self.period != 0
        return self.kind == "mamba2"


_SMALL = {"spread": TINY, "embedding": 4.0}
# Its embeddings are multiplied by the width's root, and it has heads of two sizes.
_GEMMA4 = {"kind": "gemma4", "head": 512, "window": 64, "window_head": 256, "period": 3, **_SMALL, "embedding": 1.0}
_DELTA = {"head": 64, "inner": 256, "state": 64, "state_heads": 4, "groups": 2}
SHAPES = {
    "llama-2-7b": Shape(32, 4096, 11008, 32, 32),
    "llama-2-13b": Shape(40, 5120, 13824, 40, 40),
    "7b-4layers": Shape(4, 4096, 11008, 32, 32),
    "tiny": Shape(4, 1024, 2816, 16, 16),
    "qwen35-tiny": Shape(4, 256, 512, 4, 2, kind="qwen35", **_DELTA, **_SMALL),
    "qwen35moe-tiny": Shape(4, 256, 256, 4, 2, kind="qwen35moe", experts=8, shared=256, **_DELTA, **_SMALL),
    "qwen3moe-tiny": Shape(3, 256, 256, 4, 2, kind="qwen3moe", head=64, experts=8, **_SMALL),
    "gemma3-tiny": Shape(6, 256, 512, 4, 2, kind="gemma3", head=64, window=64, period=6, **_SMALL),
    "gemma4-tiny": Shape(6, 256, 512, 2, 1, sharing=3, per_layer=256, **_GEMMA4),
    "gemma4moe-tiny": Shape(6, 256, 256, 4, 2, full_kv_heads=1, experts=8, **_GEMMA4),
    "gpt-oss-tiny": Shape(4, 256, 256, 4, 2, kind="gpt-oss", head=64, window=64, period=2, experts=4, **_SMALL),
    "lfm2-tiny": Shape(4, 256, 512, 4, 2, kind="lfm2", period=3, **_SMALL),
    "mamba2-tiny": Shape(3, 256, 0, 0, 0, kind="mamba2", inner=512, state=64, state_heads=8, groups=1, **_SMALL),
    "granite-hybrid-tiny": Shape(
        *(4, 256, 512, 4, 2), kind="granitehybrid", inner=512, state=64, state_heads=8, groups=1, **_SMALL
    ),
    # Real widths; --layers makes them as short as a machine needs.
    "qwen35-4b": Shape(
        *(32, 2560, 9216, 16, 4, 32768), kind="qwen35", head=256, inner=4096, state=128, state_heads=32, groups=16
    ),
    "qwen35moe-35b": Shape(
        *(40, 2048, 512, 16, 2, 32768, 256, "qwen35moe", 256, 8, 512),
        inner=4096,
        state=128,
        state_heads=32,
        groups=16,
    ),
    "qwen3moe-30b": Shape(48, 2048, 768, 32, 4, 32768, 128, "qwen3moe", 128, 8),
    "gemma3-4b": Shape(34, 2560, 10240, 8, 4, 32768, kind="gemma3", head=256, window=1024, period=6),
    "gemma4-e2b": Shape(
        *(35, 1536, 6144, 8, 1, 131072, 0, "gemma4", 512),
        window=512,
        window_head=256,
        period=5,
        sharing=20,
        per_layer=256,
    ),
    "gpt-oss-20b": Shape(24, 2880, 2880, 64, 8, 32768, 32, "gpt-oss", 64, 4, window=128, period=2),
    "lfm2-1.2b": Shape(16, 2048, 8192, 32, 8, 32768, kind="lfm2", period=3),
}
