"""StoreFile: one open SQLite file, its lock, its transactions, and what happens to it across threads and forks."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hd_edge.errors import StoreError

from . import schema as store_schema
from .schema import READ_TIMEOUT, WRITE_TIMEOUT, store_errors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlite_utils import Database

_inherited: list[Database] = []  # connections that a fork copied: never used, never closed by the child


class StoreFile:
    """A connection that any thread may use; after a fork the child opens its own.

    Args:
        path: The file, created if it is not there; ``None`` keeps everything in memory.
        read_only: Never write, not even to create the file.
        check: Called with each new connection before anything else reads it; raises if it does not like the file.

    Raises:
        StoreError: And its children, from opening and from ``check``.
    """

    def __init__(self, path: Path | None, *, read_only: bool, check: Callable[[Database], None]) -> None:
        self.path = path
        self.read_only = read_only
        self._check = check
        self._lock = threading.RLock()
        self._place: tuple[int, int] | None = None  # device and inode
        self._db: Database | None = self._connect()

    @property
    def where(self) -> str:
        """The path, for messages."""
        return ":memory:" if self.path is None else str(self.path)

    def _connect(self) -> Database:
        db = store_schema.connect(self.path, read_only=self.read_only)
        try:
            with store_errors(self.where):
                self._check(db)
                store_schema.set_timeout(db.conn, READ_TIMEOUT)
                if self.path is not None:
                    status = self.path.stat()
                    self._place = (status.st_dev, status.st_ino)
        except BaseException:
            db.conn.close()
            raise
        self._pid = os.getpid()
        return db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, with errors translated; waits shortly for other processes."""
        with self._lock:
            if self._db is None:
                msg = f"store {self.where} is closed"
                raise StoreError(msg)
            if self._pid != os.getpid():
                _inherited.append(self._db)
                self._db = self._connect()
            with store_errors(self.where):
                yield self._db.conn

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing. Waits up to ten seconds for other processes.

        Raises:
            StoreError: The file is open for reading only.
        """
        with self.reading() as connection:
            if self.read_only:
                msg = f"store {self.where} is open for reading only"
                raise StoreError(msg)
            store_schema.set_timeout(connection, WRITE_TIMEOUT)
            try:
                # IMMEDIATE: a deferred transaction fails at once where two processes upgrade together.
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                store_schema.set_timeout(connection, READ_TIMEOUT)

    def compact(self) -> None:
        """Rewrites the file without free space."""
        with self.reading() as connection:
            store_schema.set_timeout(connection, WRITE_TIMEOUT)
            try:
                connection.execute("VACUUM")
            finally:
                store_schema.set_timeout(connection, READ_TIMEOUT)

    def size(self) -> int:
        """Bytes of the file."""
        with self.reading() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            return int(pages * connection.execute("PRAGMA page_size").fetchone()[0])

    def in_place(self) -> bool:
        """False once the file at the path is not the open one: deleted or swapped."""
        if self.path is None:
            return True
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._place

    def close(self) -> None:
        """Closes the connection; a second call does nothing."""
        with self._lock:
            if self._db is not None:
                if self._pid == os.getpid():
                    self._db.conn.close()
                else:
                    _inherited.append(self._db)
                self._db = None
