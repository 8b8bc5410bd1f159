"""Files of other people and programs, where a store's path leads by mistake, and a proof that nothing touched them."""

import os
import sqlite3
from pathlib import Path

from store_helpers import IDENTITY, run_sql

from hd_edge.store.store import Store


def live_wal(path):
    """A database in WAL mode that its owner has open; the connection is kept in ``live_wal.owner``."""
    live_wal.owner = sqlite3.connect(path, isolation_level=None)
    live_wal.owner.execute("PRAGMA journal_mode=WAL")
    live_wal.owner.execute("CREATE TABLE notes (text)")
    live_wal.owner.execute("INSERT INTO notes VALUES ('mine')")


def other_database(path):
    run_sql(path, "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('mine')", "PRAGMA application_id=5")


def hard_link(path):
    other = path.with_name("the-same.txt")
    other.write_text("dear diary, " * 100)
    os.link(other, path)


def symlink(path):
    other = path.with_name("elsewhere.txt")
    other.write_text("dear diary, " * 100)
    path.symlink_to(other)


def write_protected(path):
    path.write_text("dear diary, " * 100)
    path.chmod(0o400)


def headerless_store(path):
    """A store whose first page is gone: nothing says that it was one."""
    Store(path, IDENTITY).close()
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def text_that_names_us(path):
    path.write_bytes(b"x" * 68 + b"hdED" + b"x" * 5000)  # our application id, but no SQLite header before it


FOREIGN = {
    "text": lambda p: p.write_text("dear diary, " * 100),
    "short text": lambda p: p.write_text("<html>"),
    "zeros": lambda p: p.write_bytes(bytes(8192)),
    "empty": lambda p: p.touch(),
    "model": lambda p: p.write_bytes(b"GGUF" + bytes(4096)),
    "header only": lambda p: p.write_bytes(b"SQLite format 3\0"),
    "database": other_database,
    "database of a program that names itself by no id": lambda p: run_sql(p, "CREATE TABLE notes (text)"),
    "wal": lambda p: run_sql(p, "PRAGMA journal_mode=WAL", "CREATE TABLE notes (text)"),
    "live wal": live_wal,
    "hard link": hard_link,
    "symlink": symlink,
    "write protected": write_protected,
    "store without a header": headerless_store,
    "text that names us": text_that_names_us,
    "fifo": lambda p: os.mkfifo(p),
}


def snapshot(folder: Path):
    """Everything in a folder: names, kinds, rights, bytes. The index of a live WAL holds locks, so only its size."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else None
        if path.is_file() and not path.is_symlink():
            content = status.st_size if path.name.endswith("-shm") else path.read_bytes()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_ino, content)
    return found
