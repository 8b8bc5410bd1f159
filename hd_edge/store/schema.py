"""What a store file looks like, and how a connection to one is opened and checked before anything in it is trusted.

A store is one SQLite file in rollback-journal mode. Nobody else's schema is ever run: the list of tables, indexes,
views and triggers must be exactly ours, text for text, before the first row is read.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hd_edge.errors import StoreBusyError, StoreCorruptError, StoreError, StoreVersionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlite_utils import Database

SCHEMA_VERSION = 1
APPLICATION_ID = 0x68644544  # "hdED"
READ_TIMEOUT = 0.1  # seconds a step may wait for another process
WRITE_TIMEOUT = 10.0  # seconds a flush may wait

TABLES = {
    "built": "CREATE TABLE built (prompt INTEGER PRIMARY KEY)",
    "calibration": ("CREATE TABLE calibration (name TEXT PRIMARY KEY NOT NULL, state BLOB NOT NULL) WITHOUT ROWID"),
    "cost": (
        "CREATE TABLE cost (settings TEXT NOT NULL, rows INTEGER NOT NULL, context INTEGER NOT NULL,"
        " seconds REAL NOT NULL, samples INTEGER NOT NULL, PRIMARY KEY (settings, rows, context)) WITHOUT ROWID"
    ),
    "meta": "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value NOT NULL) WITHOUT ROWID",
    # total: occurrences of the row's shortest key; seen: the answer that touched the row last. Both rank rows for
    # pruning, and stand before the record so that ranking reads no overflow page.
    "ngrams": (
        "CREATE TABLE ngrams (key INTEGER PRIMARY KEY, total INTEGER NOT NULL, seen INTEGER NOT NULL,"
        " record BLOB NOT NULL)"
    ),
}

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} if hasattr(sqlite3, "SQLITE_CORRUPT") else {11, 26}
_DEFENSIVE = 1010  # SQLITE_DBCONFIG_DEFENSIVE
_BUSY = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED


@contextmanager
def store_errors(path: Path | str) -> Iterator[None]:
    """Turns what sqlite3 and the file system raise into StoreError and its children.

    Raises:
        StoreCorruptError: The file is damaged.
        StoreBusyError: Another process holds it.
        StoreError: Anything else: disk full, no permission, file gone.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        text = str(error)
        code = code & 0xFF if code is not None else None
        if code in _CORRUPT or "malformed" in text or "not a database" in text:
            msg = f"store {path} is damaged ({text})"
            raise StoreCorruptError(msg) from error
        if code in _BUSY or "locked" in text:
            msg = f"store {path} is locked by another process ({text}); try again when it is done"
            raise StoreBusyError(msg) from error
        if isinstance(error, sqlite3.DataError) or "Could not decode" in text or "no such" in text:
            msg = f"store {path} holds values that no store has ({text})"
            raise StoreCorruptError(msg) from error
        msg = f"store {path}: {text}"
        raise StoreError(msg) from error
    except UnicodeDecodeError as error:  # a message of SQLite that quotes the damage
        msg = f"store {path} is damaged (its schema is no text)"
        raise StoreCorruptError(msg) from error
    except OSError as error:
        msg = f"store {path}: {error.strerror or error}"
        raise StoreError(msg) from error


def connect(path: Path | None, *, read_only: bool = False) -> Database:
    """Opens (and creates, with mode 0600) the file; ``None`` opens a store in memory. Checks nothing but the header.

    Raises:
        StoreError: Not a regular file, or the file cannot be opened.
        StoreCorruptError: No SQLite file, or one in WAL mode.
    """
    from sqlite_utils import Database

    if path is None:
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    else:
        with store_errors(path):
            _prepare_file(path, read_only=read_only)
            uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
            connection = sqlite3.connect(
                uri, uri=True, check_same_thread=False, isolation_level=None, timeout=WRITE_TIMEOUT
            )
    db = Database(connection, recursive_triggers=False, execute_plugins=False)
    try:
        with store_errors(path or ":memory:"):
            _harden(connection, read_only=read_only)
    except StoreError:
        connection.close()
        raise
    return db


def _prepare_file(path: Path, *, read_only: bool) -> None:
    if not read_only:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # a FIFO would block for ever
        msg = f"store {path} is not a regular file; remove it or name another path"
        raise StoreError(msg)
    header = _header(path)
    if not header:
        return
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        msg = f"store {path} is damaged or no store of hd_edge: it has no SQLite header"
        raise StoreCorruptError(msg)
    if header[18] != 1 or header[19] != 1:
        msg = f"store {path} is in WAL mode, which hd_edge never writes"
        raise StoreCorruptError(msg)
    # SQLite takes a cut last page for one full of zeros. Another process may be at work on the file: then there is a
    # journal, or a second look finds it done.
    if _is_cut(path, header) and not path.with_name(path.name + "-journal").exists() and _is_cut(path, _header(path)):
        msg = f"store {path} is damaged: {path.stat().st_size} bytes long, its header says {_full_size(header)}"
        raise StoreCorruptError(msg)


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def _full_size(header: bytes) -> int:
    page_size = int.from_bytes(header[16:18], "big")
    return int.from_bytes(header[28:32], "big") * (65536 if page_size == 1 else page_size)


def _is_cut(path: Path, header: bytes) -> bool:
    return path.stat().st_size < _full_size(header)


def _harden(connection: sqlite3.Connection, *, read_only: bool) -> None:
    # Before anything is read: no function or virtual table of a foreign schema runs, damaged cells are noticed,
    # and a file that is cut while open gives an error and no SIGBUS.
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").close()
    connection.execute("PRAGMA cache_size=-8192").close()  # KiB
    if not read_only:
        # What is deleted is overwritten; a commit is on the disk before it counts.
        connection.execute("PRAGMA secure_delete=ON").fetchall()
        connection.execute("PRAGMA synchronous=FULL").close()
    if hasattr(connection, "setlimit"):  # Python 3.11
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 16 << 20)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 64 << 10)
    if hasattr(connection, "setconfig"):  # Python 3.12
        connection.setconfig(_DEFENSIVE, True)


def set_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    """How long the next statements wait for another process."""
    connection.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}").fetchall()


def is_empty(db: Database) -> bool:
    """True for a file without any table: a new one."""
    return bool(db.conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0)


def create_tables(db: Database) -> None:
    """Writes the schema; call inside a transaction."""
    for ddl in TABLES.values():
        db.conn.execute(ddl)
    db.conn.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.conn.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def check_schema(db: Database, path: Path | str) -> None:
    """Compares everything the file defines with what it must define.

    Raises:
        StoreVersionError: A newer hd_edge wrote it.
        StoreCorruptError: It is no store of hd_edge, or somebody changed its schema.
    """
    version = db.conn.execute("PRAGMA user_version").fetchone()[0]
    application = db.conn.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        msg = f"{path} is no store of hd_edge (application id {application:#x}, expected {APPLICATION_ID:#x})"
        raise StoreCorruptError(msg)
    if version > SCHEMA_VERSION:
        msg = (
            f"store {path} has schema version {version}, this hd_edge reads up to {SCHEMA_VERSION}:"
            " upgrade hd_edge or name another path"
        )
        raise StoreVersionError(msg)
    rows = db.conn.execute("SELECT type, name, sql FROM sqlite_master LIMIT 100").fetchall()
    found = {(kind, name): sql for kind, name, sql in rows}
    expected = {("table", name): ddl for name, ddl in TABLES.items()}
    if found != expected or version != SCHEMA_VERSION:
        odd = sorted(f"{kind} {name}" for kind, name in found.keys() ^ expected.keys()) or ["table definitions"]
        msg = f"store {path} is damaged: its schema is not that of version {SCHEMA_VERSION} ({', '.join(odd)})"
        raise StoreCorruptError(msg)
