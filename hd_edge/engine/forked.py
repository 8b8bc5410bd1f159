"""Forked children: their parent's computing threads stayed behind, and OpenMP's runtime waits for those for ever."""

from __future__ import annotations

import os
import threading

from hd_edge.errors import ConfigError

_computed = False  # with several threads, in this process or before it was forked
_loading = threading.RLock()
_parent: int | None = None  # whose threads stayed behind


def computes(threads: int) -> None:
    """A forward with so many threads is about to begin."""
    global _computed
    _computed = _computed or threads > 1


def check_threads(n_threads: int, n_threads_batch: int) -> None:
    """Refuses several threads where the first forward would never end.

    Raises:
        ConfigError: This is a forked child of a process that computed with several.
    """
    if _parent is not None and max(n_threads, n_threads_batch) > 1:
        msg = (
            f"n_threads={n_threads}, n_threads_batch={n_threads_batch} in process {os.getpid()}, forked from process "
            f"{_parent} after that had computed with several threads: they stayed behind, and the child would wait for "
            "them for ever. Give 1 for both, or start the child with multiprocessing's 'spawn'"
        )
        raise ConfigError(msg)


def loading() -> threading.RLock:
    """Held while a model loads: llama_cpp turns the process's stdout and stderr around meanwhile."""
    return _loading


def _forked() -> None:
    global _parent, _loading
    _loading = threading.RLock()  # a thread that was loading stayed behind, and would hold it for ever
    if _computed:
        _parent = os.getppid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
