"""Whose file is it? What lacks our application id is never renamed, written, replaced or created over."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hd_edge.errors import StoreError, StoreForeignError
from hd_edge.model.folder import make_folder

from .open_stores import open_stores

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x68644544  # "hdED", at offset 68 of the file
MAGIC = b"SQLite format 3\0"
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
SIDE_FILES = ("-journal", "-wal", "-shm")  # SQLite plays them into the database beside them, and deletes them

EXPORT_MAGIC = b'{"format": "hd_edge n-grams"'
SCRATCH = ".hd_edge-"
SCRATCH_NAME = re.compile(re.escape(SCRATCH) + "[a-z0-9_]{8}")  # as tempfile names them
ORPHAN_AGE = 3600.0  # seconds: a younger file may be another process's, which is writing it


def real_path(path: Path) -> Path:
    """Without symbolic links: SQLite's journal stands beside the file, not beside a link to it."""
    return Path(os.path.realpath(path))


def is_ours(path: Path, application: int = APPLICATION_ID) -> bool:
    """True if a regular file begins as an SQLite database with this application id, however damaged the rest is.

    Raises:
        OSError: It cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # reading a FIFO would block for ever
        return False
    try:
        # Immutable: no lock, no recovery, no side file.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return bool(connection.execute("PRAGMA application_id").fetchone()[0] == application)
    except sqlite3.Error:  # no header that SQLite takes, or one that a thread of this process is writing
        header = open_stores.start(path, 72)
        return header is None or (header.startswith(MAGIC) and header[68:] == application.to_bytes(4, "big"))


def check_ours(path: Path, where: str, application: int = APPLICATION_ID) -> None:
    """Refuses what must not be opened for writing, not even by SQLite's recovery.

    Args:
        path: The file, no symbolic link: SQLite's journal stands beside the file.
        where: The path as the user knows it.
        application: The id that it must have.

    Raises:
        StoreForeignError: The file is no store of hd_edge, or a file beside it would be taken for its journal.
        StoreError: Another program has put the store into WAL mode.
        OSError: It cannot be read.
    """
    if not is_ours(path, application):
        why = f"it lacks the application id {application:#x}" if path.is_file() else "it is no regular file"
        msg = f"{where} is no store of hd_edge, {why}; it was left alone: name another path"
        raise StoreForeignError(msg)
    check_beside(path, application)
    # Write and read version of the format: 2 is WAL, with which nobody works here, or there would be a file beside it.
    if 2 in (open_stores.start(path, 20) or b"")[18:]:
        raise StoreError(_in_wal_mode(path))


def check_beside(path: Path, application: int = APPLICATION_ID) -> None:
    """Refuses a path where SQLite would play into the database, and delete, what is not its journal.

    Raises:
        StoreForeignError: Such a file stands there.
        StoreError: Another program has the store open in WAL mode.
        OSError: It cannot be read.
    """
    for suffix in SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if not os.path.lexists(side):
            continue
        if suffix != "-journal" and path.exists() and is_ours(path, application):
            raise StoreError(_in_wal_mode(path))
        with suppress(FileNotFoundError):  # another process has just ended its transaction
            regular = stat.S_ISREG(side.lstat().st_mode) or side.is_file()
            start = _start(side, len(JOURNAL_MAGIC)) if regular else b"no file"
            if suffix != "-journal" or not path.exists() or start.strip(b"\0") not in (b"", JOURNAL_MAGIC):
                msg = f"beside {path} stands {side.name}, which SQLite would take for its journal and delete: rename it"
                raise StoreForeignError(msg)


def _in_wal_mode(path: Path) -> str:
    return (
        f"store {path} is in WAL mode, which hd_edge never sets: end the program that works on it, then"
        f" `sqlite3 {path} 'PRAGMA journal_mode=DELETE'`"
    )


def _start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


@contextmanager
def named(name: str) -> Iterator[None]:
    """What fails in this block tells the name that its owner knows."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path to write a file at, which then appears at ``path`` as a whole, with mode 0600.

    It never replaces another file: where another process was faster, its file stays.

    Raises:
        StoreForeignError: SQLite would take a file beside it for its journal.
        OSError: It cannot be written.
    """
    make_folder(path.parent)
    check_beside(path)
    with _scratch(path) as new:
        yield new
        with suppress(FileExistsError):
            place(new, path)


@contextmanager
def new_text(path: Path, *, replaces: bool, mode: int = 0o600) -> Iterator[IO[str]]:
    """A text file that appears at ``path`` when it is complete; line breaks stay as they are written.

    Args:
        path: No symbolic link.
        replaces: The caller knows that what stands there may go.
        mode: Who may read and write it.

    Raises:
        FileExistsError: Something else has appeared there.
        OSError: It cannot be written.
    """
    with _scratch(path) as new:
        with new.open("w", encoding="utf-8", newline="") as file:
            yield file
        _name(new, path, replaces=replaces, mode=mode)


def new_bytes(path: Path, data: bytes, *, replaces: bool, mode: int = 0o600) -> None:
    """The same with all that is to be in the file."""
    with _scratch(path) as new:
        with named(str(path)):
            new.write_bytes(data)
        _name(new, path, replaces=replaces, mode=mode)


def _name(new: Path, path: Path, *, replaces: bool, mode: int) -> None:
    new.chmod(mode)
    with named(str(path)):
        if replaces:
            new.replace(path)
        else:
            place(new, path)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    _remove_left(path.parent)
    with named(str(path)):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=SCRATCH)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for suffix in ("", *SIDE_FILES):
            Path(name + suffix).unlink(missing_ok=True)


def is_old(path: Path, age: float = ORPHAN_AGE) -> bool:
    """True if nothing was written to a file for so many seconds.

    Raises:
        OSError: It cannot be looked at.
    """
    return time.time() - path.lstat().st_mtime > age


def _remove_left(folder: Path) -> None:
    """Removes what processes that were killed left half written beside their targets."""
    for path in folder.glob(f"{SCRATCH}*"):
        with suppress(OSError):  # another process has just removed it, or it is another user's
            if SCRATCH_NAME.fullmatch(path.name) and is_old(path) and _is_scratch(path):
                for suffix in ("", *SIDE_FILES):
                    Path(f"{path}{suffix}").unlink(missing_ok=True)


def _is_scratch(path: Path) -> bool:
    """True for a file of this user that a store or an export was to become, or that is empty."""
    status = path.lstat()
    own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    if not own or not stat.S_ISREG(status.st_mode):
        return False
    return not status.st_size or is_ours(path) or _start(path, len(EXPORT_MAGIC)) == EXPORT_MAGIC


def place(new: Path, path: Path) -> None:
    """Gives a complete file its name.

    Raises:
        FileExistsError: Something has that name already.
        OSError: It cannot be written.
    """
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with path.open("xb") as file:
            path.chmod(stat.S_IMODE(new.stat().st_mode))
            file.write(new.read_bytes())
