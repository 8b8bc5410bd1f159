"""StoreFile: one open SQLite file, its lock, its transactions, and what happens to it across threads and forks."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hd_edge.errors import StoreError
from hd_edge.model.forks import HeldAtForks, Order

from .connection import check_length, connect, set_timeout, store_errors
from .open_stores import file_id, open_stores
from .ownership import APPLICATION_ID, check_ours, new_file, real_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlite_utils import Database

READ_TIMEOUT = 0.05  # seconds that a look-up may wait for another process
WRITE_TIMEOUT = 10.0  # seconds that a write waits unless told otherwise

_inherited: list[Database] = []  # connections that a fork copied: never used, never closed by the child
_files, _counts = HeldAtForks("lock", Order.FILE), HeldAtForks("lock", Order.COUNTS)
_counts.add(open_stores)


class StoreFile:
    """A connection that any thread may use; after a fork the child opens its own.

    Args:
        path: The file; ``None`` keeps everything in memory.
        read_only: Never write, not even to create the file.
        create: Fills a new database; None: the file must be there.
        check: Called with each new connection before anything else reads it; raises if it does not like the file.
        application: The id that the file must have.
        open_timeout: Seconds that opening waits for other processes; None: two.

    Attributes:
        id: Device and inode of the file; None: in memory.
        lock: Held while the connection is used.
        write_timeout: Seconds that a write waits for other processes.

    Raises:
        StoreError: And its children, from opening and from ``check``.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        read_only: bool,
        create: Callable[[Database], None] | None,
        check: Callable[[Database], None],
        application: int = APPLICATION_ID,
        open_timeout: float | None = None,
    ) -> None:
        self.where = ":memory:" if path is None else str(path)
        self.path = path and real_path(path)
        self.read_only = read_only
        self.write_timeout = WRITE_TIMEOUT
        self._create = create
        self._check = check
        self._application = application
        self._commits = self._promised = 0  # the second is true once no transaction is open
        self._open_timeout = open_timeout
        self.lock = threading.RLock()
        self._owner = os.getpid()
        self.id: tuple[int, int] | None = None
        _files.add(self)
        with self.lock:
            self._db: Database | None = self._connect()

    def _own(self) -> None:
        """In a forked child: another thread of the parent may have held the lock, in the middle of a transaction."""
        if self._owner != os.getpid():
            self.lock = threading.RLock()
            self._promised = self._commits
            self._owner = os.getpid()

    def _connect(self) -> Database:
        with store_errors(self.where, read_only=self.read_only):
            if self.path is not None and self._create and not self.read_only and not os.path.lexists(self.path):
                with new_file(self.path) as new:
                    self._write_new(new)
            found = None
            if self.path is not None:
                found = file_id(self.path)
                check_ours(self.path, self.where, self._application)
                open_stores.add(found)
            try:
                db = self._checked()
            except BaseException:
                if found is not None:
                    open_stores.remove(found)
                raise
        if found is not None and self.id != found:  # it was replaced meanwhile: which of them is open?
            db.conn.close()
            open_stores.remove(found)
            return self._connect()
        self._pid = os.getpid()
        return db

    def _checked(self) -> Database:
        db = connect(self.path, self.where, read_only=self.read_only, timeout=self._open_timeout)
        try:
            if self.path is not None:
                check_length(db, self.path)
            elif self._create:
                self._create(db)
            self._check(db)
            set_timeout(db.conn, READ_TIMEOUT)
            if self.path is not None:
                self.id = file_id(self.path)
        except BaseException:
            db.conn.close()
            raise
        return db

    def _write_new(self, path: Path) -> None:
        from sqlite_utils import Database

        db = Database(path, recursive_triggers=False, execute_plugins=False)
        try:
            if self._create:
                self._create(db)
        finally:
            db.close()

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """The database, with errors translated; waits shortly for other processes."""
        self._own()
        with self.lock:
            if self._db is None:
                msg = f"store {self.where} is closed"
                raise StoreError(msg)
            if self._pid != os.getpid():
                _inherited.append(self._db)
                self._db = self._connect()
            with store_errors(self.where, read_only=self.read_only):
                yield self._db

    @contextmanager
    def _patient(self) -> Iterator[Database]:
        with self.reading() as db:
            set_timeout(db.conn, self.write_timeout)
            try:
                yield db
            finally:
                set_timeout(db.conn, READ_TIMEOUT)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """What is read meanwhile is of one moment; other processes that write wait. For this thread alone."""
        with self._patient() as db:
            db.execute("BEGIN")
            try:
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes the lock
                yield
            finally:
                if db.conn.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _writable(self) -> Iterator[Database]:
        with self._patient() as db:
            if self.read_only:
                msg = f"store {self.where} is open for reading only"
                raise StoreError(msg)
            yield db

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One transaction: all of it or nothing. Waits ``write_timeout`` seconds for other processes.

        Raises:
            StoreError: The file is open for reading only.
        """
        with self._writable() as db:
            self._settle(db)
            try:  # from here on: a signal's handler may raise as soon as the transaction has begun
                # IMMEDIATE: a deferred transaction fails at once where two processes upgrade together.
                db.execute("BEGIN IMMEDIATE")
                yield db
                self._promised = self._commits + 1
                db.execute("COMMIT")
            except sqlite3.Error:  # some take the transaction back themselves
                self._promised = self._commits
                raise
            finally:
                if db.conn.in_transaction:
                    self._promised = self._commits
                    db.execute("ROLLBACK")
                self._settle(db)

    def _settle(self, db: Database) -> None:
        with suppress(sqlite3.ProgrammingError):  # somebody has closed it: then nothing was committed
            if not db.conn.in_transaction:
                self._commits = self._promised

    @property
    def commits(self) -> int:
        """Transactions of this object that were committed, wherever a signal's handler raised behind that."""
        self._own()
        with self.lock:
            if self._db is not None:
                self._settle(self._db)
            return self._commits

    def compact(self) -> None:
        """Rewrites the file without free space."""
        with self._writable() as db:
            db.vacuum()

    def size(self) -> int:
        """Bytes of the file, asked without a lock: another process may be writing."""
        with self.reading() as db:
            if self.path is not None:
                return self.path.stat().st_size
            return int(db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0])

    def in_place(self) -> bool:
        """False once the file at the path is not the open one: deleted or swapped."""
        try:
            return self.path is None or file_id(self.path) == self.id
        except OSError:
            return False

    def close(self) -> None:
        """Closes the connection; a second call does nothing."""
        self._own()
        with self.lock:
            if self._db is None:
                return
            self._settle(self._db)
            if self._pid == os.getpid():
                self._db.conn.close()
                if self.id is not None:
                    open_stores.remove(self.id)
            else:
                _inherited.append(self._db)
            self._db = None
