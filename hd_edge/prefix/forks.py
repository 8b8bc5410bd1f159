"""Forks: what a saving thread holds, an import's lock for one, would stay held in a forked child for ever.

So a fork waits, a moment at most, until nobody saves.
"""

from __future__ import annotations

import os
from typing import Any, Protocol
from weakref import WeakSet

FORK_TIMEOUT = 1.0  # seconds that a fork waits for a thread that saves


class Saving(Protocol):
    """Whoever saves holds ``saving`` meanwhile."""

    saving: Any


_savers: WeakSet[Any] = WeakSet()
_held: list[Any] = []


def held_at_forks(saver: Saving) -> None:
    """From now on, while it lives, no fork comes in the middle of its saving."""
    _savers.add(saver)


def hold() -> None:
    """Before a fork."""
    _held.extend(saver.saving for saver in list(_savers) if saver.saving.acquire(timeout=FORK_TIMEOUT))


def let_go() -> None:
    """After it, in parent and child."""
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=hold, after_in_parent=let_go, after_in_child=let_go)
