"""FairQueue: who waits, one queue for each user, served in turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from hd_edge.errors import BusyError

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First come, first served among the items of a user; users take turns (round robin).

    Args:
        most: Items that may wait, of all users together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._users: OrderedDict[str, deque[T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, item: T, user: str = "") -> None:
        """Waits for its turn.

        Raises:
            BusyError: So many wait already.
        """
        if self._size >= self._most:
            msg = f"{self._size} requests wait, at most {self._most} may: try again later"
            raise BusyError(msg)
        self._users.setdefault(user, deque()).append(item)
        self._size += 1

    def pop(self) -> T:
        """The next one; there must be one. Its user goes behind all others."""
        user, items = next(iter(self._users.items()))
        item = items.popleft()
        self._users.move_to_end(user)
        if not items:
            del self._users[user]
        self._size -= 1
        return item

    def remove(self, item: T) -> bool:
        """Waits no longer; False if it did not."""
        for user, items in self._users.items():
            if item in items:
                items.remove(item)
                self._size -= 1
                if not items:
                    del self._users[user]
                return True
        return False
