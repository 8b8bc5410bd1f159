"""Endings: what becomes of the models and engines of this process when the interpreter ends, or the process forks.

After the interpreter's exit functions its daemon threads stop wherever they are, with whatever locks they hold. So
everything ends before, the youngest first, within one time for all; afterwards nothing of it may wait for a lock.

A child of ``multiprocessing`` that was forked has no such end: it runs the finalizers of ``multiprocessing.util``.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from contextlib import ExitStack
from typing import Any, Protocol

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


class _Process:
    """What is known of this process, or of the one that it was forked from.

    Attributes:
        asked: ``multiprocessing`` tells its forked children; it is not asked to before somebody uses it.
        ends: The id of the child that ends everything when it has run.
        ended: The id of the process in which everything has ended.
    """

    asked = False
    ends = ended = 0


_process = _Process()


def begun(one: Ending) -> None:
    """From now on it ends with the interpreter."""
    _all[one] = None
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _end_with_child()


def _end(found: weakref.ref[Ending], deadline: float) -> None:
    if (one := found()) is not None:
        one.end_with_interpreter(max(deadline - time.monotonic(), 0.0))


def _end_all() -> None:
    if _process.ended == os.getpid():  # the threads have ended since, one of them with the lock
        return
    _process.ended = os.getpid()
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


def _before_fork() -> None:
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _process.asked:
        util.register_after_fork(_process, _end_with_child)
        _process.asked = True


def _end_with_child(_: Any = None) -> None:
    """In a child of ``multiprocessing``: ends everything when it has run, after the children of its own."""
    if _process.ends != os.getpid():
        _process.ends = os.getpid()
        sys.modules["multiprocessing.util"].Finalize(None, _end_child, exitpriority=-1)


def _end_child() -> None:
    here = (threading.main_thread(), threading.current_thread())
    others = [thread for thread in threading.enumerate() if not thread.daemon and thread not in here]
    if others:  # the child waits for them, and they may still compute: this one waits too, and is waited for
        threading.Thread(target=_end_behind, args=(others,), name="hd_edge-end").start()
    else:
        _end_all()


def _end_behind(others: list[threading.Thread]) -> None:
    for other in others:
        other.join()
    _end_all()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_forked)
