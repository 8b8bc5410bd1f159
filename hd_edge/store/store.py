"""Store: the SQLite file of one tier.

A store holds n-gram records (``native/records/ngram_record.hpp`` tells their bytes), the mixer's calibration, the cost
curve and a few counters. Records are read in batches of at most four point look-ups and written in one transaction per
flush, so a process that dies leaves whole batches behind. Methods raise StoreError and its children; ``SafeStore``
turns them into one warning for those who only want to generate.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge import _native
from hd_edge.errors import StoreCorruptError, StoreError, StoreMismatchError
from hd_edge.model.identity import Identity

from .file import StoreFile
from .schema import check_schema, create_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlite_utils import Database
    from typing_extensions import Self

DEFAULT_CAP = 64 << 20  # bytes of a model's file
MAX_FETCH = 4  # point look-ups per call
READ_TOGETHER = 64  # records read in one statement when an answer is added
MAX_META = 1000  # named values that are read of a file
MAX_COUNT = 1 << 60
KINDS = ("model", "statistics")

# Plain SQL where a step or a flush waits for it, sqlite-utils elsewhere.
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
_COUNT = (
    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    f" + CASE WHEN typeof(value) = 'integer' AND value BETWEEN 0 AND {MAX_COUNT} THEN value ELSE 0 END"
)
_BUILT = "INSERT OR IGNORE INTO built (prompt) VALUES (?)"
ANSWERS = "count.answers"
ADDITIONS = "count.additions"  # imports and merges: who was interrupted in one can see whether it is in
_ANSWERS = "SELECT value FROM meta WHERE name = 'count.answers'"


class Store:
    """An open store; closes itself as a context manager. Any thread may call any method.

    Args:
        path: The file; ``None`` keeps everything in memory.
        identity: Whose tokens the store holds; ``None`` takes what the file says.
        kind: ``"model"`` or ``"statistics"``; None takes what the file says.
        read_only: Never write, not even to create the file.
        cap: Bytes from which the least useful records are dropped.

    Raises:
        StoreForeignError: The file is no store of hd_edge.
        StoreCorruptError: It is one, but damaged.
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
        kind: str | None = "model",
        read_only: bool = False,
        cap: int = DEFAULT_CAP,
    ) -> None:
        if kind not in (*KINDS, None):
            msg = f"kind {kind!r} is not one of {', '.join(KINDS)}"
            raise StoreError(msg)
        self.path = None if path is None else Path(path)
        self._asked_kind = kind
        self.kind = kind or KINDS[0]  # what the file says, once it is open
        self.cap = cap
        self._asked_for = identity
        self.identity: Identity = identity or Identity("", "", 0, "")  # what the file says, once it is open
        create = self._create if identity else None
        self.file = StoreFile(self.path, read_only=read_only, create=create, check=self._check)

    def _create(self, db: Database) -> None:
        about = {**self.identity.to_dict(), "kind": self.kind, "created": int(time.time())}
        with db.atomic():
            create_tables(db)
            db.table("meta").insert_all({"name": name, "value": value} for name, value in about.items())

    def _check(self, db: Database) -> None:
        check_schema(db, self.path)
        meta = _meta(db)
        found = Identity.from_dict(meta)
        if found is None or meta.get("kind") not in KINDS:
            msg = f"store {self.path} is damaged: it does not say whose tokens it holds"
            raise StoreCorruptError(msg)
        if self._asked_kind not in (meta["kind"], None):
            msg = f"store {self.path} is a {meta['kind']} tier, asked for was a {self.kind} tier"
            raise StoreMismatchError(msg)
        self.kind = meta["kind"]
        if self._asked_for is not None:
            found.check(self._asked_for, of=f"store {self.path}", any_model=self.kind == "statistics")
        self.identity = found

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ n-grams

    def fetch(self, keys: Sequence[int]) -> dict[int, bytes | None]:
        """Records of at most four keys; ``None`` for those that the file does not have."""
        with self.file.reading() as db:
            return _fetch(db, keys, MAX_FETCH)

    def add(
        self,
        records: Mapping[int, bytes],
        *,
        answers: int = 1,
        counters: Mapping[str, int] | None = None,
        built: int | None = None,
    ) -> dict[int, bytes]:
        """Adds the counts of ``records`` to those of the file, in one transaction; returns them as they are now.

        Args:
            records: By key, as ``_native.AnswerCounter`` makes them.
            answers: How many answers they come from.
            counters: Named counters to add to.
            built: Hash of the prompt that was answered for ``hd-edge db build-model``: if another process has added
                its answer meanwhile, nothing is added.
        """
        with self.file.writing() as db:
            if built is not None and not db.execute(_BUILT, (built,)).rowcount:
                return {}
            named = {f"count.{name}": count for name, count in (counters or {}).items()}
            return self._add(db, records, {ANSWERS: answers, **named})

    def add_together(self, batches: Iterable[tuple[Mapping[int, bytes], Mapping[str, int]]]) -> None:
        """Adds records, and to the numbers of the texts they come from, all batches in one transaction."""
        with self.file.writing() as db:
            for records, numbers in batches:
                self._add(db, records, {ANSWERS: 0, **numbers})
            db.execute(_COUNT, (ADDITIONS, 1))

    def _add(self, db: Database, records: Mapping[int, bytes], counters: Mapping[str, int]) -> dict[int, bytes]:
        merged: dict[int, bytes] = {}
        written = []
        keys = list(records)
        db.conn.executemany(_COUNT, list(counters.items()))
        now = db.execute(_ANSWERS).fetchone()[0]
        for at in range(0, len(keys), READ_TOGETHER):
            for key, old in _fetch(db, keys[at : at + READ_TOGETHER], READ_TOGETHER).items():
                total, merged[key] = _sum(key, old, records[key], self.identity.n_vocab)
                written.append((key, total, now, merged[key]))
        db.conn.executemany(_WRITE, written)
        return merged

    def write(self, records: Iterable[tuple[int, int, bytes]]) -> None:
        """Writes whole records (key, total, record) over those that are there, in one transaction."""
        with self.file.writing() as db:
            db.execute(_COUNT, (ANSWERS, 0))
            now = db.execute(_ANSWERS).fetchone()[0]
            db.conn.executemany(_WRITE, ((key, total, now, record) for key, total, record in records))

    def scan(self, least_total: int = -(1 << 63)) -> Iterator[tuple[int, bytes]]:
        """Records of at least this total in key order, read in pieces, so that no lock is held in between.

        Raises:
            StoreCorruptError: The file gives keys out of their order; going on from them might never end.
        """
        after = -1
        while True:
            with self.file.reading() as db:
                found = db.execute(_SCAN, (after, least_total)).fetchall()
            if not found:
                return
            if any(key <= before for before, key in pairwise([after, *(key for key, _ in found)])):
                msg = f"store {self.path} is damaged: its keys are out of order behind {after}"
                raise StoreCorruptError(msg)
            yield from ((key, record) for key, record in found if isinstance(record, bytes))
            after = found[-1][0]

    def lists(self) -> Iterator[_native.NgramList]:
        """All n-gram lists in key order. A damaged record counts as absent; ``hd-edge db verify`` names it."""
        for key, record in self.scan():
            try:
                lists = _native.decode_record(key, record, self.identity.n_vocab)
            except ValueError:
                continue
            yield from lists

    def __len__(self) -> int:
        with self.file.reading() as db:
            return int(db.table("ngrams").count)

    def is_built(self, prompt: int) -> bool:
        """True if the answer to the prompt of this hash has been learned by ``hd-edge db build-model``."""
        with self.file.reading() as db:
            return bool(db.table("built").count_where("prompt = ?", [prompt]))

    # ------------------------------------------------------------------ what the file says about itself

    def meta(self) -> dict[str, Any]:
        """Named values of the file, of any type."""
        with self.file.reading() as db:
            return _meta(db)

    def set_meta(self, values: Mapping[str, Any]) -> None:
        """Writes named values."""
        with self.file.writing() as db:
            db.table("meta").insert_all(({"name": n, "value": v} for n, v in values.items()), replace=True)

    def counters(self) -> dict[str, int]:
        """Counts so far: ``answers``, and what each tier looked up, drafted and had accepted."""
        return {name[6:]: value for name, value in self.numbers().items() if name.startswith("count.")}

    def numbers(self) -> dict[str, int]:
        """Those named values that are counts, as far as they can be true."""
        return {n: v for n, v in self.meta().items() if isinstance(v, int) and 0 <= v <= MAX_COUNT}

    # ------------------------------------------------------------------ calibration and cost

    def load_calibration(self) -> bytes | None:
        """State of the mixer as last saved, or None."""
        with self.file.reading() as db:
            found = db.execute("SELECT state FROM calibration WHERE name = 'mixer'").fetchone()
        return found[0] if found and isinstance(found[0], bytes) else None

    def load_cost(self, settings: str) -> list[tuple[int, int, float, int]]:
        """The cost curve measured with these settings: (rows, context / 1,024, seconds, samples)."""
        with self.file.reading() as db:
            points = db.execute(
                "SELECT rows, context, seconds, samples FROM cost WHERE settings = ? LIMIT 10000", (settings,)
            ).fetchall()
        return [point for point in points if _is_cost(*point)]

    def save_planner(self, calibration: bytes, settings: str, points: Sequence[tuple[int, int, float, int]]) -> None:
        """Keeps the state of the mixer and replaces the cost curve of these settings, in one transaction."""
        names = ("settings", "rows", "context", "seconds", "samples")
        with self.file.writing() as db:
            db.table("calibration").insert({"name": "mixer", "state": calibration}, replace=True)
            db.table("cost").delete_where("settings = ?", [settings])
            db.table("cost").insert_all(dict(zip(names, (settings, *point), strict=True)) for point in points)


def _meta(db: Database) -> dict[str, Any]:
    return {item["name"]: item["value"] for item in db.table("meta").rows_where(limit=MAX_META)}


def _is_cost(rows: Any, context: Any, seconds: Any, samples: Any) -> bool:
    counts = all(isinstance(n, int) and 0 <= n < 1 << 31 for n in (rows, context, samples))
    return counts and rows > 0 and samples > 0 and isinstance(seconds, float) and 1e-7 < seconds < 1e5


def _fetch(db: Database, keys: Sequence[int], width: int) -> dict[int, bytes | None]:
    found: dict[int, bytes | None] = dict.fromkeys(keys[:width])
    padded = [*keys, *[-1] * width][:width]
    # fetchall() ends the statement, and with it the lock on the file.
    for key, record in db.conn.execute(_FETCH[width], padded).fetchall():
        if key in found and isinstance(record, bytes):
            found[key] = record
    return found


def _sum(key: int, old: bytes | None, new: bytes, n_vocab: int) -> tuple[int, bytes]:
    if old is not None:
        try:
            return _native.merge_records(key, old, new, n_vocab)
        except ValueError:  # the record in the file is damaged: learn it anew
            pass
    return _native.record_total(key, new, n_vocab), new
