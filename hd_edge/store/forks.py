"""Forks: what another thread holds when a process forks, nobody gives back in the child.

Not only the lock itself: also those of SQLite and of imports, which that thread may be in the middle of. So a fork
waits, a moment at most, until the lock is free, and holds it meanwhile.
"""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakSet

FORK_TIMEOUT = 1.0  # seconds that a fork waits for one lock


class HeldAtForks:
    """The locks of some objects, while these live.

    A later one's locks are taken first: whoever takes two of them in a thread does so in that order.

    Args:
        name: The attribute that is the lock.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._owners: WeakSet[Any] = WeakSet()
        self._held: list[Any] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.hold, after_in_parent=self.let_go, after_in_child=self.let_go)

    def add(self, owner: Any) -> None:
        """From now on, while it lives, no fork comes while its lock is held."""
        self._owners.add(owner)

    def hold(self) -> None:
        """Before a fork."""
        locks = [getattr(owner, self._name) for owner in list(self._owners)]
        self._held.extend(lock for lock in locks if lock.acquire(timeout=FORK_TIMEOUT))

    def let_go(self) -> None:
        """After it, in parent and child."""
        while self._held:
            self._held.pop().release()
