"""What a store holds: its tables, their version, and the comparison with what a file defines.

Nobody else's schema is ever run: the list of tables, indexes, views and triggers must be exactly ours, text for text,
before the first record is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge.errors import StoreCorruptError, StoreForeignError, StoreVersionError

from .ownership import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlite_utils import Database

SCHEMA_VERSION = 1

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
    """Compares everything the file defines with what it must define.

    Raises:
        StoreForeignError: It is no store of hd_edge.
        StoreVersionError: A newer hd_edge wrote it.
        StoreCorruptError: Somebody changed its schema.
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
    defined = db.execute("SELECT type, name, sql FROM sqlite_master LIMIT 100").fetchall()
    found = {(kind, name): sql for kind, name, sql in defined}
    expected = {("table", name): ddl for name, ddl in TABLES.items()}
    if found != expected or version != SCHEMA_VERSION:
        odd = sorted(f"{kind} {name}" for kind, name in found.keys() ^ expected.keys()) or ["table definitions"]
        msg = f"store {path} is damaged: its schema is not that of version {SCHEMA_VERSION} ({', '.join(odd)})"
        raise StoreCorruptError(msg)
