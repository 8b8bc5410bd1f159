"""Forks: what another thread holds when a process forks, nobody gives back in the child.

Not only the lock itself: also those of SQLite and of imports, which that thread may be in the middle of. So a fork
waits, a moment at most, until the lock is free, and holds it meanwhile.
"""

from __future__ import annotations

import os
from enum import IntEnum
from threading import get_ident
from time import monotonic
from typing import Any
from weakref import WeakSet

FORK_TIMEOUT = 1.0  # seconds that a fork waits for one lock
LONGEST = 10.0  # for all locks of a kind, while new ones are made


class Order(IntEnum):
    """In which a thread takes locks of several kinds, and so a fork."""

    LOADING = 0
    PROCESS = 1
    SAVER = 2
    FILE = 3
    COUNTS = 4


class HeldAtForks:
    """The locks of some objects, while these live.

    Args:
        name: The attribute that is the lock.
        order: Of this kind among the others; it has no other of its own.
        timeout: Seconds that a fork waits for each.
    """

    def __init__(self, name: str, order: Order, timeout: float = FORK_TIMEOUT) -> None:
        self._name, self._timeout = name, timeout
        self._owners: WeakSet[Any] = WeakSet()
        self._held: dict[int, list[Any]] = {}  # by the thread that forks: another one may, too, once it has them
        _kinds[order] = self

    def add(self, owner: Any) -> None:
        """From now on, while it lives, no fork comes while its lock is held. A module may be one, too."""
        self._owners.add(owner)

    def hold(self) -> None:
        """Before a fork."""
        seen: set[Any] = set()
        until = monotonic() + LONGEST
        while (new := set(self._owners) - seen) and monotonic() < until:  # while it waits, others may be made
            for lock in (getattr(owner, self._name) for owner in new):
                if lock.acquire(timeout=self._timeout):
                    self._held.setdefault(get_ident(), []).append(lock)
            seen |= new

    def let_go(self) -> None:
        """After it, in parent and child."""
        for lock in reversed(self._held.pop(get_ident(), [])):
            lock.release()


_kinds: dict[Order, HeldAtForks] = {}


def _hold() -> None:
    for order in sorted(_kinds):
        _kinds[order].hold()


def _let_go() -> None:
    for order in sorted(_kinds, reverse=True):
        _kinds[order].let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
