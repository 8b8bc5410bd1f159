"""Gate: who may use the context of llama.cpp now, the caller's thread or the one that saves state.

The caller comes first: it waits at most for the copy of one piece. The saver copies only while no caller is inside.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Counts callers inside, and every entry: state that was current before one may have changed after it.

    Attributes:
        changed: Notified whenever a caller enters or leaves, and by whoever waits on it for more.
        entries: How often a caller has entered.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.entries = 0
        self._inside = 0
        self._copying = False

    @property
    def idle(self) -> bool:
        """True if no caller is inside."""
        return self._inside == 0

    def enter(self) -> None:
        """A caller begins to use the context; it may already be inside."""
        with self.changed:
            self._inside += 1
            self.entries += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self._copying)

    def leave(self) -> bool:
        """A caller is done; True if none is inside any more."""
        with self.changed:
            self._inside -= 1
            self.changed.notify_all()
            return self._inside == 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """A caller uses the context in this block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextmanager
    def copying(self, entries: int) -> Iterator[bool]:
        """The saver uses the context in this block, if nobody entered since ``entries`` was counted."""
        with self.changed:
            free = self.idle and self.entries == entries
            self._copying = free
        try:
            yield free
        finally:
            with self.changed:
                self._copying = False
                self.changed.notify_all()
