"""FairQueue: who waits, one queue for each user, served in turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from contextlib import suppress
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
        self._users: OrderedDict[str, deque[T]] = OrderedDict()  # none is empty

    def __len__(self) -> int:
        return sum(map(len, list(self._users.values())))

    def push(self, item: T, user: str = "") -> None:
        """Waits for its turn.

        Raises:
            BusyError: So many wait already.
        """
        if (waiting := len(self)) >= self._most:
            msg = f"{waiting} requests wait, at most {self._most} may: try again later"
            raise BusyError(msg)
        if user in self._users:
            self._users[user].append(item)
        else:
            self._users[user] = deque([item])

    def first(self) -> T | None:
        """The next one, which goes on waiting; None if there is none."""
        for items in list(self._users.values()):
            return items[0]
        return None

    def pop(self) -> T:
        """The next one; there must be one. Its user goes behind all others."""
        user, items = next(iter(self._users.items()))
        item = items[0]
        self.remove(item)
        if user in self._users:
            self._users.move_to_end(user)
        return item

    def remove(self, item: T) -> bool:
        """Waits no longer; False if it did not."""
        for user, items in list(self._users.items()):
            if item in items:
                with suppress(ValueError):  # a signal's handler may have emptied it by now
                    if len(items) > 1:
                        items.remove(item)
                    else:
                        self._users.pop(user, None)
                return True
        return False
