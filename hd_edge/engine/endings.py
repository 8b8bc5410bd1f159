"""Endings: what becomes of the models and engines of this process when the interpreter ends, or the process forks.

After the interpreter's exit functions its daemon threads stop wherever they are, with whatever locks they hold. So
everything ends before, the youngest first, within one time for all; afterwards nothing of it may wait for a lock.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from contextlib import ExitStack
from typing import Protocol

from .forked import loading

EXIT_SECONDS = 10.0  # most seconds that the end of the interpreter waits for steps under way, all together


class Ending(Protocol):
    """What has an end of its own: a ``Life`` or an ``Engine``."""

    def end_with_interpreter(self, wait: float) -> None:
        """Ends now, within so many seconds; afterwards its ``close()`` does nothing and waits for nobody."""
        ...

    def after_fork(self) -> None:
        """In a forked child: only the thread that forked is there."""
        ...


_all: weakref.WeakKeyDictionary[Ending, None] = weakref.WeakKeyDictionary()  # in the order of their beginning


def begun(one: Ending) -> None:
    """From now on it ends with the interpreter."""
    _all[one] = None


def _end(found: weakref.ref[Ending], deadline: float) -> None:
    if (one := found()) is not None:
        one.end_with_interpreter(max(deadline - time.monotonic(), 0.0))


def _end_all() -> None:
    deadline = time.monotonic() + EXIT_SECONDS
    loading().acquire(timeout=EXIT_SECONDS)  # what loads in a thread is whole now; it is never given back
    with ExitStack() as ends:  # the last one first; all of them, whatever one raises
        for found in _all.keyrefs():
            ends.callback(_end, found, deadline)


def _tell(found: weakref.ref[Ending]) -> None:
    if (one := found()) is not None:
        one.after_fork()


def _forked() -> None:
    with ExitStack() as told:  # all of them, whatever one raises
        for found in _all.keyrefs():
            told.callback(_tell, found)


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
