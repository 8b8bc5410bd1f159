"""Forked children: their parent's computing threads stayed behind, and OpenMP's runtime waits for those for ever."""

from __future__ import annotations

import gc
import os
import threading

from llama_cpp import _internals
from llama_cpp import llama_cpp as lib

from hd_edge.errors import ClosedError, ConfigError

_computed = False  # with several threads, in this process or before it was forked
_loading = threading.RLock()
_parent: int | None = None  # whose threads stayed behind
_parent_of_child: int | None = None  # whoever computed there, if anybody


def computes(threads: int, lost: str) -> None:
    """A forward with so many threads is about to begin.

    Args:
        threads: How many.
        lost: Why it would never end; empty: it will.

    Raises:
        ClosedError: It would never end.
    """
    global _computed
    if lost:
        raise ClosedError(lost)
    _computed = _computed or threads > 1


def check_threads(n_threads: int, n_threads_batch: int) -> None:
    """Refuses several threads where the first forward would never end.

    Raises:
        ConfigError: This is a forked child of a process that computed with several.
    """
    if max(n_threads, n_threads_batch) < 2:
        return
    parent = _parent_of_child if _parent is None and _others_computed() else _parent
    if parent is not None:
        msg = (
            f"n_threads={n_threads}, n_threads_batch={n_threads_batch} in process {os.getpid()}, forked from process "
            f"{parent} after that had computed with several threads: they stayed behind, and the child would wait for "
            "them for ever. Give 1 for both, or start the child with multiprocessing's 'spawn'"
        )
        raise ConfigError(msg)


def _others_computed() -> bool:
    """In a forked child: a context of plain ``llama_cpp``, which came along, computed with several threads.

    One that was freed before the fork is not found: then the child waits for ever, as with ``llama_cpp`` alone.
    """
    if _parent_of_child is None:
        return False
    for found in gc.get_objects():
        if type(found) is _internals.LlamaContext and found.ctx:
            counts = lib.llama_perf_context(found.ctx)
            if max(counts.n_eval, counts.n_p_eval) > 1 and lib.llama_n_threads(found.ctx) > 1:
                return True
    return False


def loading() -> threading.RLock:
    """Held while a model loads: llama_cpp turns the process's stdout and stderr around meanwhile."""
    return _loading


def _forked() -> None:
    global _parent, _parent_of_child, _loading
    _loading = threading.RLock()  # a thread that loads for longer stayed behind, and would hold it for ever
    _parent_of_child = os.getppid()
    if _computed:
        _parent = os.getppid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
