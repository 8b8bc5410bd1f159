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
    from .config import DraftConfig as DraftConfig
    from .errors import (
        ClosedError as ClosedError,
    )
    from .errors import (
        ConfigError as ConfigError,
    )
    from .errors import (
        ContextFullError as ContextFullError,
    )
    from .errors import (
        CorpusError as CorpusError,
    )
    from .errors import (
        DecodeError as DecodeError,
    )
    from .errors import (
        ExactModeError as ExactModeError,
    )
    from .errors import (
        HDEdgeError as HDEdgeError,
    )
    from .errors import (
        KernelWarning as KernelWarning,
    )
    from .errors import (
        ModelFileError as ModelFileError,
    )
    from .errors import (
        StoreBusyError as StoreBusyError,
    )
    from .errors import (
        StoreCorruptError as StoreCorruptError,
    )
    from .errors import (
        StoreError as StoreError,
    )
    from .errors import (
        StoreForeignError as StoreForeignError,
    )
    from .errors import (
        StoreMismatchError as StoreMismatchError,
    )
    from .errors import (
        StoreVersionError as StoreVersionError,
    )
    from .errors import (
        StoreWarning as StoreWarning,
    )
    from .errors import (
        TokenError as TokenError,
    )
    from .errors import (
        UnsupportedBackendError as UnsupportedBackendError,
    )
    from .integrations.tier_draft import TierDraft as TierDraft
    from .llama import Llama as Llama
    from .stats import GenerationStats as GenerationStats
    from .store.store import Store as Store

_HOME = {
    "Llama": "llama",
    "DraftConfig": "config",
    "GenerationStats": "stats",
    "TierDraft": "integrations.tier_draft",
    "HDEdgeError": "errors",
    "ClosedError": "errors",
    "ConfigError": "errors",
    "ModelFileError": "errors",
    "UnsupportedBackendError": "errors",
    "ExactModeError": "errors",
    "TokenError": "errors",
    "ContextFullError": "errors",
    "DecodeError": "errors",
    "StoreError": "errors",
    "StoreBusyError": "errors",
    "StoreCorruptError": "errors",
    "StoreForeignError": "errors",
    "StoreMismatchError": "errors",
    "StoreVersionError": "errors",
    "StoreWarning": "errors",
    "KernelWarning": "errors",
    "CorpusError": "errors",
    "Store": "store.store",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        msg = f"module 'hd_edge' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
