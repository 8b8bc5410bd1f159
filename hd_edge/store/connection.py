"""Connections: how SQLite is opened so that nothing in a file can harm, and what its errors become."""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hd_edge.errors import StoreBusyError, StoreCorruptError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlite_utils import Database

OPEN_TIMEOUT = 2.0  # seconds that opening waits for another process

_CORRUPT = {11, 26}  # SQLITE_CORRUPT, SQLITE_NOTADB
_BUSY = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED
FOREIGN_CALL = re.compile(r"malformed database schema .* - (unsafe use of|unknown function|no such function)")
FOREIGN = re.compile(  # of a thing that is none of ours, what this SQLite cannot read
    r"malformed database schema \((?!(built|calibration|cost|meta|ngrams|models|pieces)\)).*\) - "
    r"(near |.*syntax error|string or blob too big|no such )"
)
# What an application brings with itself: its absence says nothing of our records.
ABSENT = re.compile(r"no such (collation sequence|function|module)|unknown function")
_DEFENSIVE = 1010  # SQLITE_DBCONFIG_DEFENSIVE


def _error(error: sqlite3.Error, path: Path | str, read_only: bool) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # Python 3.11
    text = str(error)
    if FOREIGN_CALL.search(text):
        return StoreError(
            f"store {path} has an index of somebody else that calls functions, which none may: drop it ({text})"
        )
    if FOREIGN.search(text) or ABSENT.search(text):
        return StoreError(f"store {path} holds something of somebody else, which cannot be read here: drop it ({text})")
    if code in _CORRUPT or "malformed" in text or "not a database" in text:
        return StoreCorruptError(f"store {path} is damaged ({text})")
    if code in _BUSY or "locked" in text:
        return StoreBusyError(f"store {path} is locked by another process ({text}); try again when it is done")
    if isinstance(error, sqlite3.DataError) or "Could not decode" in text or "no such" in text:
        return StoreCorruptError(f"store {path} holds values that no store has ({text})")
    if read_only and "readonly" in text:
        return StoreError(
            f"store {path} holds a write that was cut short when its process died; the next answer that learns rolls it"
            f" back, or `hd-edge db prune {path}` does"
        )
    return StoreError(f"store {path}: {text}")


@contextmanager
def store_errors(path: Path | str, *, read_only: bool = False) -> Iterator[None]:
    """Turns what sqlite3 and the file system raise into StoreError and its children.

    Args:
        path: For the message.
        read_only: How the file is open: then SQLite can undo no other process's unfinished transaction.

    Raises:
        StoreCorruptError: The file is damaged.
        StoreBusyError: Another process holds it.
        StoreError: Anything else: disk full, no permission, file gone.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path, read_only) from error
    except UnicodeDecodeError as error:  # a message of SQLite that quotes the damage
        msg = f"store {path} is damaged (its schema is no text)"
        raise StoreCorruptError(msg) from error
    except OSError as error:
        msg = f"store {path}: {error.strerror or error}"
        raise StoreError(msg) from error


def connect(
    path: Path | None,
    where: str,
    *,
    read_only: bool = False,
    timeout: float | None = None,
) -> Database:
    """Opens a file that is there and ours, or a database in memory. Does not look at what it holds.

    Args:
        path: The file, no symbolic link.
        where: The path as the user knows it.
        read_only: Never write.
        timeout: Seconds to wait for another process; None: ``OPEN_TIMEOUT``.

    Raises:
        StoreError: And its children.
    """
    from sqlite_utils import Database

    with store_errors(where, read_only=read_only):
        name = ":memory:"
        if path is not None:
            name = f"{path.as_uri()}?mode={'ro' if read_only else 'rw'}"
        timeout = OPEN_TIMEOUT if timeout is None else timeout
        connection = sqlite3.connect(name, uri=True, check_same_thread=False, isolation_level=None, timeout=timeout)
        try:
            _harden(connection, read_only=read_only)
            return Database(connection, recursive_triggers=False, execute_plugins=False)
        except BaseException:
            connection.close()
            raise


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


def check_length(db: Database, path: Path) -> None:
    """SQLite takes a cut last page for one full of zeros.

    Raises:
        StoreCorruptError: The file is shorter than it says.
    """
    db.execute("BEGIN")  # nobody else is writing while we look
    try:
        said = db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
        size = path.stat().st_size
    finally:
        db.execute("ROLLBACK")
    if size < said:
        msg = f"store {path} is damaged: {size} bytes long, its header says {said}"
        raise StoreCorruptError(msg)


def set_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    """How long the next statements wait for another process."""
    connection.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}").fetchall()
