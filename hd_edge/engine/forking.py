"""What a fork waits for: a child has all of what its process has once, and the stdout that it had."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from hd_edge.backend import adapters, kernels, log
from hd_edge.model.forks import HeldAtForks, Order

from . import forked

P = ParamSpec("P")

LOADING = 10.0  # seconds that it waits for a model that another thread loads

_loading, _once = HeldAtForks("_loading", Order.LOADING, LOADING), HeldAtForks("process_lock", Order.PROCESS)
_loading.add(forked)
for module in (adapters, kernels, log):
    _once.add(module)


def loads(begin: Callable[P, None]) -> Callable[P, None]:
    """A constructor that holds ``forked.loading()`` to its end: the interpreter's end frees no half of a model."""

    @wraps(begin)
    def held(*args: P.args, **kwargs: P.kwargs) -> None:
        with forked.loading():
            begin(*args, **kwargs)

    return held
