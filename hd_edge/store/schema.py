"""What a store holds: its tables, their version, and the comparison with what a file defines.

Nobody else's schema is ever run: our tables must be exactly ours, text for text, before the first record is read. What
somebody keeps beside them is no damage, but pruning rewrites the whole file and a build replaces it: so a file that
holds more than a store is left alone until it does not. Only an index for a query of one's own, which takes whatever is
written, and what ``ANALYZE`` found out are no business of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge.errors import StoreCorruptError, StoreError, StoreForeignError, StoreVersionError

from .ownership import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlite_utils import Database

SCHEMA_VERSION = 1
EXPRESSION = -2  # of an index, in place of the number of a column
ORDERS = ("BINARY", "NOCASE", "RTRIM")  # that every SQLite has

TABLES = {
    "built": "CREATE TABLE built (prompt INTEGER PRIMARY KEY)",
    "calibration": ("CREATE TABLE calibration (name TEXT PRIMARY KEY NOT NULL, state BLOB NOT NULL) WITHOUT ROWID"),
    "cost": (
        "CREATE TABLE cost (settings TEXT NOT NULL, rows INTEGER NOT NULL, context INTEGER NOT NULL,"
        " seconds REAL NOT NULL, samples INTEGER NOT NULL, PRIMARY KEY (settings, rows, context)) WITHOUT ROWID"
    ),
    "meta": "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value NOT NULL) WITHOUT ROWID",
    # total: occurrences of the record's shortest key; seen: the answer that touched it last. Both rank records for
    # pruning, and stand before the record so that ranking reads no overflow page.
    "ngrams": (
        "CREATE TABLE ngrams (key INTEGER PRIMARY KEY, total INTEGER NOT NULL, seen INTEGER NOT NULL,"
        " record BLOB NOT NULL)"
    ),
}


def create_tables(
    db: Database, tables: Mapping[str, str] = TABLES, application: int = APPLICATION_ID, version: int = SCHEMA_VERSION
) -> None:
    """Writes a schema, that of a store unless told otherwise; call inside a transaction."""
    for ddl in tables.values():
        db.execute(ddl)
    db.execute(f"PRAGMA application_id={application}")
    db.execute(f"PRAGMA user_version={version}")


def check_schema(db: Database, path: Path | None) -> None:
    """Compares what the file says it is, and the tables it defines, with what they must be.

    Raises:
        StoreForeignError: It is no store of hd_edge.
        StoreVersionError: A newer hd_edge wrote it.
        StoreCorruptError: Somebody changed its tables.
        StoreError: Somebody keeps something of his own there.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        msg = f"{path} is no store of hd_edge (application id {application:#x}, expected {APPLICATION_ID:#x})"
        raise StoreForeignError(msg)
    if version > SCHEMA_VERSION:
        msg = (
            f"store {path} has schema version {version}, this hd_edge reads up to {SCHEMA_VERSION}:"
            " upgrade hd_edge or name another path"
        )
        raise StoreVersionError(msg)
    check_tables(db, path)
    if version != SCHEMA_VERSION:
        msg = f"store {path} is damaged: its schema version is {version}, expected {SCHEMA_VERSION}"
        raise StoreCorruptError(msg)


def check_tables(
    db: Database, path: Path | None, tables: Mapping[str, str] = TABLES, version: int = SCHEMA_VERSION
) -> None:
    """Compares tables with their definitions, those of a store unless told otherwise.

    Args:
        db: The file, open.
        path: Of it, for the message.
        tables: Definitions by name, in lower case.
        version: Of these.

    Raises:
        StoreCorruptError: One is absent or another.
        StoreError: A trigger acts when one of them is written, an index may refuse what is written, or something else
            is kept in the file.
    """
    ours = ", ".join(f"'{name}'" for name in tables)
    defined = db.execute(
        f"SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) IN ({ours})"
    ).fetchall()
    found = {(kind, name): sql for kind, name, sql in defined}
    expected = {("table", name): ddl for name, ddl in tables.items()}
    if found != expected:
        odd = sorted(f"{kind} {name}" for kind, name in found.keys() ^ expected.keys()) or ["table definitions"]
        msg = f"store {path} is damaged: its schema is not that of version {version} ({', '.join(odd)})"
        raise StoreCorruptError(msg)
    added = db.execute(  # an index of another table comes with that table
        f"SELECT type, name, lower(tbl_name) IN ({ours}) FROM sqlite_master WHERE type <> 'index' AND NOT (type IN"
        f" ('table', 'view') AND lower(name) IN ({ours})) AND tbl_name NOT GLOB 'sqlite_*' ORDER BY rowid LIMIT 1"
    ).fetchone()
    strict = (("index", name, True) for table in tables for name in _strict_indexes(db, table))
    if (odd_one := added or next(strict, None)) is None:
        return
    kind, name, acts = odd_one
    what = "which acts on what is learned" if acts else "which is somebody's own: keep it in another file"
    named = name if name.isprintable() else ascii(name)
    drop = f"DROP {kind.upper()} {_quoted(named)}"
    msg = f"store {path} has {kind} {named}, {what}; the store is not used until you {drop}"
    raise StoreError(msg)


def _strict_indexes(db: Database, table: str) -> Iterator[str]:
    """Indexes that somebody added to a table and that may refuse a row: unique ones, and those that compute."""
    for _, name, unique, origin, partial in db.execute(f"PRAGMA index_list({table})").fetchall():
        if origin != "c":
            continue
        columns = db.execute(f"PRAGMA index_xinfo({_quoted(name)})").fetchall()
        computes = any(number == EXPRESSION or order not in ORDERS for _, number, _, _, order, _ in columns)
        if unique or partial or computes:
            yield name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
