"""Index: which pieces lie on the disk, in one SQLite file that several processes share.

Rows tell which piece follows which. The file of a piece is renamed into place before its row is written and removed
after its row is gone, so a row may lack its file (a miss) and a file its row (``Disk.sweep`` finds it), never worse.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge.errors import StoreCorruptError, StoreVersionError
from hd_edge.store.file import StoreFile
from hd_edge.store.schema import check_tables, create_tables

from .pieces import PIECE, TOKEN, Piece, common

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlite_utils import Database

APPLICATION_ID, VERSION = 0x68644550, 1  # "hdEP"
TABLES = {
    "meta": "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value NOT NULL) WITHOUT ROWID",
    "models": (
        "CREATE TABLE models (fingerprint BLOB PRIMARY KEY NOT NULL, name TEXT NOT NULL, compute REAL NOT NULL)"
        " WITHOUT ROWID"
    ),
    "pieces": (
        "CREATE TABLE pieces (parent BLOB NOT NULL, tokens BLOB NOT NULL, name BLOB NOT NULL, fingerprint BLOB NOT"
        " NULL, start INTEGER NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL, PRIMARY KEY (parent, tokens))"
        " WITHOUT ROWID"
    ),
}
_NEAR = (
    "SELECT tokens FROM pieces WHERE parent = ? AND tokens >= ? ORDER BY tokens LIMIT 1",
    "SELECT tokens FROM pieces WHERE parent = ? AND tokens < ? ORDER BY tokens DESC LIMIT 1",
)


class Index:
    """The open index; any thread may call any method.

    Args:
        path: The file, created if it is not there.
        wait: Seconds that opening and writing wait for other processes; None: those of a store.

    Raises:
        StoreError: And its children; the file is as before.
    """

    def __init__(self, path: Path, wait: float | None = None) -> None:
        self.path = path
        made: dict[str, Any] = {"create": self._create, "check": self._check, "application": APPLICATION_ID}
        self.file = StoreFile(path, read_only=False, open_timeout=wait, **made)
        if wait is not None:
            self.file.write_timeout = wait

    def _create(self, db: Database) -> None:
        with db.atomic():
            create_tables(db, TABLES, APPLICATION_ID, VERSION)

    def _check(self, db: Database) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            msg = (
                f"{self.path} has version {version}, this hd_edge reads up to {VERSION}: upgrade, or name another path"
            )
            raise StoreVersionError(msg)
        check_tables(db, self.path, TABLES, VERSION)
        if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":  # a later question would find it
            msg = f"store {self.path} is damaged ({found})"
            raise StoreCorruptError(msg)

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self.file.close()

    # ------------------------------------------------------------------ pieces

    def find(self, parent: bytes, start: int, rest: bytes) -> tuple[Piece, int, int] | None:
        """The child of ``parent`` that shares most tokens with the packed ``rest``, how many, and its bytes."""
        rest = rest[: PIECE * TOKEN]
        with self.file.reading() as db:
            near = [row[0] for query in _NEAR for row in db.execute(query, (parent, rest)).fetchall()]
            sound = [t for t in near if isinstance(t, bytes) and len(t) % TOKEN == 0 and len(t) <= PIECE * TOKEN]
            if not sound:
                return None
            tokens = max(sound, key=lambda t: common(t, rest))
            if not common(tokens, rest):
                return None
            query = "SELECT bytes FROM pieces WHERE parent = ? AND tokens = ?"
            size = db.execute(query, (parent, tokens)).fetchall()
        if not size or not isinstance(size[0][0], int) or size[0][0] < 0:
            return None
        return Piece(parent, tokens, start), common(tokens, rest), size[0][0]

    def latest(self, chain: Sequence[Piece]) -> tuple[Piece, int] | None:
        """The whole state that holds most of a prompt, cut into these pieces, and nothing else; and its bytes."""
        query = (
            "SELECT tokens, bytes FROM pieces WHERE parent = ? AND tokens <= ?"
            " AND substr(?, 1, length(tokens)) = tokens ORDER BY tokens DESC LIMIT 1"
        )
        with self.file.reading() as db:
            for piece in reversed(chain):
                for tokens, size in db.execute(query, (piece.parent, piece.tokens, piece.tokens)).fetchall():
                    sound = isinstance(tokens, bytes) and tokens and len(tokens) % TOKEN == 0 and isinstance(size, int)
                    if sound and size > 0:
                        return Piece(piece.parent, tokens, piece.start), size
        return None

    def add(self, fingerprint: bytes, piece: Piece, size: int, now: float, *, whole: bool = False) -> list[bytes]:
        """Adds a piece, used now; returns the names of those that it contains, which are gone. None, if ``whole``."""
        with self.file.writing() as db:
            shorter = db.execute(
                "SELECT tokens, name FROM pieces WHERE parent = ? AND tokens < ? AND length(tokens) < ?"
                " AND substr(?, 1, length(tokens)) = tokens",
                (piece.parent, piece.tokens, len(piece.tokens), piece.tokens),
            ).fetchall()
            shorter = [] if whole else shorter
            keys = [(piece.parent, tokens) for tokens, _ in shorter]
            db.conn.executemany("DELETE FROM pieces WHERE parent = ? AND tokens = ?", keys)
            db.execute(
                "INSERT OR REPLACE INTO pieces (parent, tokens, name, fingerprint, start, bytes, used)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (piece.parent, piece.tokens, piece.name, fingerprint, piece.start, size, now),
            )
        return [name for _, name in shorter if isinstance(name, bytes)]

    def touch(self, pieces: Iterable[Piece], now: float) -> None:
        """These were used now."""
        with self.file.writing() as db:
            keys = [(now, piece.parent, piece.tokens) for piece in pieces]
            db.conn.executemany("UPDATE pieces SET used = ? WHERE parent = ? AND tokens = ?", keys)

    def drop(self, piece: Piece) -> None:
        """Forgets a piece."""
        with self.file.writing() as db:
            db.execute("DELETE FROM pieces WHERE parent = ? AND tokens = ?", (piece.parent, piece.tokens))

    def evict(self, budget: int) -> list[bytes]:
        """Forgets the least recently used pieces, ends of prompts first, until the rest fits; returns their names."""
        keys: list[tuple[bytes, bytes]] = []
        gone: list[Any] = []
        with self.file.writing() as db:
            excess = int(db.execute("SELECT total(bytes) FROM pieces").fetchone()[0]) - budget
            if excess <= 0:
                return []
            order = "SELECT parent, tokens, name, CAST(bytes AS INTEGER) FROM pieces ORDER BY used, start DESC"
            for parent, tokens, name, size in db.execute(order).fetchall():
                if excess <= 0:
                    break
                keys.append((parent, tokens))
                gone.append(name)
                excess -= size
            db.conn.executemany("DELETE FROM pieces WHERE parent = ? AND tokens = ?", keys)
        return [name for name in gone if isinstance(name, bytes)]

    def names(self) -> set[bytes]:
        """Names of all pieces."""
        with self.file.reading() as db:
            return {name for (name,) in db.execute("SELECT name FROM pieces").fetchall() if isinstance(name, bytes)}

    def forget(self, names: Iterable[bytes]) -> None:
        """Forgets pieces by name."""
        with self.file.writing() as db:
            db.conn.executemany("DELETE FROM pieces WHERE name = ?", [(name,) for name in names])

    def clear(self) -> None:
        """Forgets all; deleted rows are overwritten."""
        with self.file.writing() as db:
            db.execute("DELETE FROM pieces")
            db.execute("DELETE FROM models")

    # ------------------------------------------------------------------ rates, and what people ask

    def rates(self, fingerprint: bytes) -> tuple[float | None, float | None]:
        """Prefill tokens per second of a model and bytes per second of the disk, as last seen; None: never."""
        with self.file.reading() as db:
            compute = db.execute("SELECT compute FROM models WHERE fingerprint = ?", (fingerprint,)).fetchall()
            disk = db.execute("SELECT value FROM meta WHERE name = 'disk'").fetchall()
        return _rate(compute), _rate(disk)

    def save_rates(self, fingerprint: bytes, name: str, compute: float, disk: float) -> None:
        """Keeps the rates."""
        with self.file.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO models (fingerprint, name, compute) VALUES (?, ?, ?)",
                (fingerprint, name, compute),
            )
            db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('disk', ?)", (disk,))

    def summary(self) -> list[dict[str, Any]]:
        """Per model: name, pieces, tokens, bytes, time of last use."""
        query = (
            "SELECT coalesce(models.name, 'unknown'), count(*), total(length(tokens)) / ?, total(bytes), max(used)"
            " FROM pieces LEFT JOIN models ON pieces.fingerprint = models.fingerprint"
            " GROUP BY pieces.fingerprint ORDER BY max(used) DESC"
        )
        with self.file.reading() as db:
            rows = db.execute(query, (TOKEN,)).fetchall()
        names = ("model", "pieces", "tokens", "bytes", "used")
        return [
            dict(zip(names, (name, n, int(tokens), int(size), used), strict=True))
            for name, n, tokens, size, used in rows
        ]


def _rate(rows: list[tuple[Any]]) -> float | None:
    value = rows[0][0] if rows else None
    return value if isinstance(value, float) and 0 < value < 1e15 else None
