"""Store: the SQLite file of one tier.

A store holds n-gram rows (``native/records/ngram_record.hpp`` tells their bytes), the mixer's calibration, the cost
curve and a few counters. Rows are read in batches of at most four point look-ups and written in one transaction per
flush, so a process that dies leaves whole batches behind. Methods raise StoreError and its children; ``safety`` turns
them into one warning for those who only want to generate.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge import _native
from hd_edge.errors import StoreCorruptError, StoreError, StoreMismatchError

from . import schema as store_schema
from .file import StoreFile
from .identity import Identity

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlite_utils import Database
    from typing_extensions import Self

DEFAULT_CAP = 64 << 20  # bytes of a model's file
MAX_FETCH = 4  # point look-ups per call
READ_TOGETHER = 64  # rows read in one statement when an answer is added
KINDS = ("model", "statistics")

_FETCH = {
    width: f"SELECT key, record FROM ngrams WHERE key IN ({', '.join('?' * width)})"
    f" AND length(record) <= {_native.MAX_RECORD_BYTES}"
    for width in (MAX_FETCH, READ_TOGETHER)
}
_SCAN = (
    f"SELECT key, record FROM ngrams WHERE key > ? AND total >= ? AND length(record) <= {_native.MAX_RECORD_BYTES}"
    " ORDER BY key LIMIT 1000"
)
_WRITE = "INSERT OR REPLACE INTO ngrams (key, total, seen, record) VALUES (?, ?, ?, ?)"
_META = "SELECT name, value FROM meta LIMIT 1000"
_SET_META = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"


class Store:
    """An open store; closes itself as a context manager. Any thread may call any method.

    Args:
        path: The file; ``None`` keeps everything in memory.
        identity: Whose tokens the store holds; ``None`` takes what the file says.
        kind: ``"model"`` or ``"statistics"``.
        read_only: Never write, not even to create the file.
        cap: Bytes from which the least useful rows are dropped.

    Raises:
        StoreCorruptError: The file is damaged or no store.
        StoreVersionError: A newer hd_edge wrote it.
        StoreMismatchError: It belongs to another tokenizer or model, or is of the other kind.
        StoreBusyError: Another process keeps it locked.
        StoreError: It cannot be opened or created.
    """

    def __init__(
        self,
        path: str | Path | None,
        identity: Identity | None = None,
        *,
        kind: str = "model",
        read_only: bool = False,
        cap: int = DEFAULT_CAP,
    ) -> None:
        if kind not in KINDS:
            msg = f"kind {kind!r} is not one of {', '.join(KINDS)}"
            raise StoreError(msg)
        self.path = None if path is None else Path(path)
        self.kind = kind
        self.cap = cap
        self._asked_for = identity
        self.identity: Identity = identity or Identity("", "", 0, "")  # what the file says, once it is open
        self.file = StoreFile(self.path, read_only=read_only, check=self._check)

    def _check(self, db: Database) -> None:
        if store_schema.is_empty(db):
            self._create(db)
        store_schema.check_schema(db, self.path or ":memory:")
        meta = dict(db.conn.execute(_META).fetchall())
        found = Identity.from_dict(meta)
        if found is None or meta.get("kind") not in KINDS:
            msg = f"store {self.path} is damaged: it does not say whose tokens it holds"
            raise StoreCorruptError(msg)
        if meta["kind"] != self.kind:
            msg = f"store {self.path} is a {meta['kind']} tier, asked for was a {self.kind} tier"
            raise StoreMismatchError(msg)
        if self._asked_for is not None:
            found.check(self._asked_for, of=f"store {self.path}", any_model=self.kind == "statistics")
        self.identity = found

    def _create(self, db: Database) -> None:
        if self._asked_for is None:
            msg = f"store {self.path} is empty"
            raise StoreCorruptError(msg)
        about = {**self._asked_for.to_dict(), "kind": self.kind, "created": int(time.time())}
        db.conn.execute("BEGIN IMMEDIATE")
        if store_schema.is_empty(db):  # another process may have been faster
            store_schema.create_tables(db)
            db.table("meta").insert_all({"name": name, "value": value} for name, value in about.items())
        db.conn.execute("COMMIT")

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ n-grams

    def fetch(self, keys: Sequence[int]) -> dict[int, bytes | None]:
        """Rows of at most four keys; ``None`` for those that the file does not have."""
        with self.file.reading() as connection:
            return _fetch(connection, keys, MAX_FETCH)

    def add(
        self,
        rows: Mapping[int, bytes],
        *,
        answers: int = 1,
        counters: Mapping[str, int] | None = None,
        built: int | None = None,
    ) -> dict[int, bytes]:
        """Adds the counts of ``rows`` to those of the file, in one transaction; returns the rows as they are now.

        Args:
            rows: Key to row, as ``_native.AnswerCounter`` makes them.
            answers: How many answers they come from.
            counters: Named counters to add to.
            built: Hash of the prompt that was answered for ``hd-edge db build-model``.
        """
        merged: dict[int, bytes] = {}
        written = []
        keys = list(rows)
        with self.file.writing() as connection:
            now = _count(connection, "answers", answers)
            for name, amount in (counters or {}).items():
                _count(connection, name, amount)
            if built is not None:
                connection.execute("INSERT OR IGNORE INTO built (prompt) VALUES (?)", (built,))
            for at in range(0, len(keys), READ_TOGETHER):
                for key, old in _fetch(connection, keys[at : at + READ_TOGETHER], READ_TOGETHER).items():
                    total, merged[key] = _sum(key, old, rows[key], self.identity.n_vocab)
                    written.append((key, total, now, merged[key]))
            connection.executemany(_WRITE, written)
        return merged

    def write(self, rows: Iterable[tuple[int, int, bytes]]) -> None:
        """Writes whole rows (key, total, record) over those that are there, in one transaction."""
        with self.file.writing() as connection:
            now = _count(connection, "answers", 0)
            connection.executemany(_WRITE, ((key, total, now, record) for key, total, record in rows))

    def scan(self, least_total: int = -(1 << 63)) -> Iterator[tuple[int, bytes]]:
        """Rows of at least this total in key order, read in pieces, so that no lock is held in between."""
        after = -1
        while True:
            with self.file.reading() as connection:
                rows = connection.execute(_SCAN, (after, least_total)).fetchall()
            if not rows:
                return
            yield from ((key, record) for key, record in rows if isinstance(record, bytes))
            after = rows[-1][0]

    def __len__(self) -> int:
        with self.file.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM ngrams").fetchone()[0])

    def is_built(self, prompt: int) -> bool:
        """True if the answer to the prompt of this hash has been learned by ``hd-edge db build-model``."""
        with self.file.reading() as connection:
            return connection.execute("SELECT 1 FROM built WHERE prompt = ?", (prompt,)).fetchall() != []

    # ------------------------------------------------------------------ what the file says about itself

    def meta(self) -> dict[str, Any]:
        """Named values of the file."""
        with self.file.reading() as connection:
            return dict(connection.execute(_META).fetchall())

    def set_meta(self, values: Mapping[str, Any]) -> None:
        """Writes named values."""
        with self.file.writing() as connection:
            connection.executemany(_SET_META, list(values.items()))

    def counters(self) -> dict[str, int]:
        """Counts so far: ``answers``, and what each tier looked up, drafted and had accepted."""
        return {k[6:]: v for k, v in self.meta().items() if k.startswith("count.") and isinstance(v, int)}

    # ------------------------------------------------------------------ calibration and cost

    def load_calibration(self) -> bytes | None:
        """State of the mixer as last saved, or None."""
        with self.file.reading() as connection:
            rows = connection.execute("SELECT state FROM calibration WHERE name = 'mixer'").fetchall()
        return rows[0][0] if rows and isinstance(rows[0][0], bytes) else None

    def save_calibration(self, state: bytes) -> None:
        """Keeps the state of the mixer."""
        with self.file.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO calibration (name, state) VALUES ('mixer', ?)", (state,))

    def load_cost(self, settings: str) -> list[tuple[int, int, float, int]]:
        """The cost curve measured with these settings: (rows, context / 1,024, seconds, samples)."""
        with self.file.reading() as connection:
            points = connection.execute(
                "SELECT rows, context, seconds, samples FROM cost WHERE settings = ? LIMIT 10000", (settings,)
            ).fetchall()
        return [
            (n, context, seconds, samples)
            for n, context, seconds, samples in points
            if isinstance(n, int) and isinstance(context, int) and isinstance(samples, int)
            if isinstance(seconds, float) and 0 < seconds < 1e6 and n > 0 and samples > 0
        ]

    def save_cost(self, settings: str, rows: Sequence[tuple[int, int, float, int]]) -> None:
        """Replaces the cost curve of these settings."""
        with self.file.writing() as connection:
            connection.execute("DELETE FROM cost WHERE settings = ?", (settings,))
            connection.executemany(
                "INSERT INTO cost (settings, rows, context, seconds, samples) VALUES (?, ?, ?, ?, ?)",
                [(settings, *row) for row in rows],
            )


def _fetch(connection: sqlite3.Connection, keys: Sequence[int], width: int) -> dict[int, bytes | None]:
    found: dict[int, bytes | None] = dict.fromkeys(keys[:width])
    padded = [*keys, *[-1] * width][:width]
    # fetchall() ends the statement, and with it the lock on the file.
    for key, record in connection.execute(_FETCH[width], padded).fetchall():
        if key in found and isinstance(record, bytes):
            found[key] = record
    return found


def _sum(key: int, old: bytes | None, new: bytes, n_vocab: int) -> tuple[int, bytes]:
    if old is not None:
        try:
            return _native.merge_records(key, old, new, n_vocab)
        except ValueError:  # the row in the file is damaged: learn it anew
            pass
    return _native.record_total(key, new, n_vocab), new


def _count(connection: sqlite3.Connection, name: str, amount: int) -> int:
    rows = connection.execute("SELECT value FROM meta WHERE name = ?", (f"count.{name}",)).fetchall()
    value = (rows[0][0] if rows and isinstance(rows[0][0], int) and 0 <= rows[0][0] < 1 << 60 else 0) + amount
    connection.execute(_SET_META, (f"count.{name}", value))
    return value
