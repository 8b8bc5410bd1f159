"""Open stores: which files this process has open through SQLite.

SQLite's locks belong to the process and fall when it closes *any* descriptor of the file. So no such file is read
otherwise: while one thread opens a store and another closes a descriptor of it, a third process could write in the
middle of what the first one checks.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def file_id(path: Path) -> tuple[int, int]:
    """Device and inode."""
    status = path.stat()
    return status.st_dev, status.st_ino


class OpenStores:
    """Files by device and inode, each as often as it is open; any thread may call any method.

    Attributes:
        lock: Held while it is asked or told something.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._count: Counter[tuple[int, int]] = Counter()

    def add(self, found: tuple[int, int]) -> None:
        """Before SQLite opens it."""
        with self.lock:
            self._count[found] += 1

    def remove(self, found: tuple[int, int]) -> None:
        """After SQLite has closed it."""
        with self.lock:
            self._count[found] -= 1

    def forget(self) -> None:
        """In a forked child, which has none of its parent's locks, and whose connections it never uses."""
        self._count.clear()

    def __contains__(self, found: tuple[int, int]) -> bool:
        with self.lock:
            return self._count[found] > 0

    def start(self, path: Path, size: int) -> bytes | None:
        """The first bytes of a file; None if it is open here, and so not to be read.

        Raises:
            OSError: It cannot be read.
        """
        with self.lock:  # nobody opens it until it is closed again
            if file_id(path) in self:
                return None
            with path.open("rb") as file:
                return file.read(size)


open_stores = OpenStores()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=open_stores.forget)
