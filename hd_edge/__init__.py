"""hd_edge: ``llama_cpp.Llama``, faster. Same constructor, same methods, same text.

>>> from hd_edge import Llama
>>> llm = Llama("model.gguf")
>>> llm("Once upon a time", max_tokens=32)["choices"][0]["text"]

Names are resolved on first use (PEP 562): importing the package neither loads llama.cpp nor touches the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .async_llama import AsyncLlama
    from .batching.engine import Engine
    from .config import DraftConfig
    from .errors import (
        BusyError,
        ClosedError,
        ConfigError,
        ContextFullError,
        CorpusError,
        DecodeError,
        ExactModeError,
        HDEdgeError,
        KernelWarning,
        ModelFileError,
        StoreBusyError,
        StoreCorruptError,
        StoreError,
        StoreForeignError,
        StoreMismatchError,
        StoreVersionError,
        StoreWarning,
        TokenError,
        UnsupportedBackendError,
    )
    from .integrations.tier_draft import TierDraft
    from .llama import Llama
    from .stats import GenerationStats
    from .store.store import Store

_HOME = {
    "AsyncLlama": "async_llama",
    "Engine": "batching.engine",
    "Llama": "llama",
    "DraftConfig": "config",
    "GenerationStats": "stats",
    "TierDraft": "integrations.tier_draft",
    "Store": "store.store",
}  # all others: errors

__all__ = [
    "AsyncLlama",
    "BusyError",
    "ClosedError",
    "ConfigError",
    "ContextFullError",
    "CorpusError",
    "DecodeError",
    "DraftConfig",
    "Engine",
    "ExactModeError",
    "GenerationStats",
    "HDEdgeError",
    "KernelWarning",
    "Llama",
    "ModelFileError",
    "Store",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreForeignError",
    "StoreMismatchError",
    "StoreVersionError",
    "StoreWarning",
    "TierDraft",
    "TokenError",
    "UnsupportedBackendError",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        msg = f"module 'hd_edge' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(f".{_HOME.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
