"""A lock for files that are read, changed and replaced as a whole; it falls with its process, however that ends."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from hd_edge.errors import StoreBusyError, StoreError

from .folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = ".lock"  # an empty database: SQLite locks on every system, and nothing is ever written to it
WAIT = 10.0  # seconds


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes and threads that lock the same folder out of this block.

    Args:
        folder: Made if it is missing, for its owner alone.

    Raises:
        StoreBusyError: Another process kept it locked for ten seconds.
        StoreError: It cannot be locked.
        OSError: The folder cannot be made.
    """
    make_folder(folder)
    try:
        # SQLite would make it for everybody to read. Closing one that is not new would drop locks of this process.
        with suppress(FileExistsError):
            os.close(os.open(folder / NAME, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(folder / NAME, timeout=WAIT, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        msg = f"the files in {folder} cannot be changed, {folder / NAME} cannot be opened ({error})"
        raise StoreError(msg) from error
    with closing(connection):
        try:
            connection.execute("BEGIN EXCLUSIVE").close()
        except sqlite3.Error as error:
            if "locked" in str(error):
                msg = f"another process has been changing the files in {folder} for {WAIT:.0f} s: try again later"
                raise StoreBusyError(msg) from error
            msg = f"the files in {folder} cannot be changed, {folder / NAME} cannot be locked ({error})"
            raise StoreError(msg) from error
        yield
