"""What changes a context's results behind our back: llama.cpp's own calls for adapters, as ``llama_cpp`` offers them.

llama.cpp tells nobody which control vector or LoRA adapter a context has, and state computed under one is wrong without
it. ``llama_cpp`` makes one ctypes object of each C function, whatever names refer to it, and that object tells us of
each call when it returns (``errcheck``). Calls of C code, and through another handle of the library, are not seen.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

from llama_cpp import llama_cpp as lib

FUNCTIONS = (  # each takes the context first
    *("llama_set_adapters_lora", "llama_set_adapter_lora", "llama_rm_adapter_lora", "llama_clear_adapter_lora"),
    *("llama_set_adapter_cvec", "llama_apply_adapter_cvec", "llama_set_causal_attn", "llama_set_warmup"),
)
Check = Callable[[Any, Any, tuple[Any, ...]], Any]


class Adapters:
    """Of one context.

    Attributes:
        changes: How often somebody has called one of these functions since the model was loaded.
    """

    def __init__(self) -> None:
        self.changes = self._before = 0

    @property
    def stale(self) -> bool:
        """Whether the context may hold state from before the last of these calls."""
        return self.changes != self._before

    def forgotten(self) -> None:
        """What the context held is gone."""
        self._before = self.changes


_watched: WeakValueDictionary[int, Adapters] = WeakValueDictionary()
process_lock = threading.RLock()  # as that of the kernels


def watch(context: Any) -> Adapters:
    """Counts the changes of a context from now on.

    Args:
        context: ``llama_context*``.
    """
    with process_lock:
        _install()
    _watched[_address(context)] = adapters = Adapters()
    return adapters


@lru_cache(maxsize=1)
def _install() -> None:
    for function in _functions():
        function.errcheck = _counting(getattr(function, "errcheck", None))


def _functions() -> list[Any]:
    """One object each, although some have two names."""
    found = [getattr(owner, name, None) for owner in (lib, lib._lib) for name in FUNCTIONS]
    return list({id(one): one for one in found if hasattr(one, "argtypes")}.values())


def _counting(before: Check | None) -> Check:
    def check(result: Any, function: Any, given: tuple[Any, ...]) -> Any:
        _count(given[0])
        return result if before is None else before(result, function, given)

    return check


def _address(context: Any) -> int:
    return int(ctypes.cast(context, ctypes.c_void_p).value or 0)


def _count(context: Any) -> None:
    """A context that cannot be told may be any."""
    try:
        adapters = _watched.get(_address(context))
        changed = [] if adapters is None else [adapters]
    except (TypeError, ctypes.ArgumentError):
        changed = list(_watched.values())
    for one in changed:
        one.changes += 1
