"""What keeps a store small, private and sound: prune, purge, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge import _native

if TYPE_CHECKING:
    from .store import Store

PRUNED_TO = 0.75  # share of the cap that pruning leaves
HALF_LIFE = 1000  # answers after which an unused record counts half
OVERHEAD = 16  # bytes of the file that a record takes beside its own

# Frequent records stay, but an old count fades: total / (1 + age / half life).
_LEAST_USEFUL = "SELECT key FROM ngrams ORDER BY CAST(total AS REAL) / (1.0 + max(0, ? - seen) / ?), seen, key LIMIT ?"


def prune(store: Store, cap: int | None = None) -> int:
    """Drops the least useful records until the store takes at most 0.75 of ``cap`` bytes; returns how many went.

    Does nothing while the file is within the cap.

    Raises:
        StoreError: The file cannot be written.
    """
    cap = store.cap if cap is None else cap
    if store.file.size() <= cap:
        return 0
    dropped = 0
    now = store.counters().get("answers", 0)
    target = cap * PRUNED_TO
    for _ in range(16):
        with store.file.writing() as db:
            count, used = db.execute(
                f"SELECT count(*), coalesce(sum(length(record) + {OVERHEAD}), 0) FROM ngrams"
            ).fetchone()
            if used <= target or count == 0:
                break
            # Useless records are shorter than the average, so this many never drop too much.
            share = max(1, int(count * (1 - target / used)))
            db.table("ngrams").delete_where(f"key IN ({_LEAST_USEFUL})", [now, float(HALF_LIFE), share])
            dropped += share
    store.file.compact()
    return dropped


def purge(store: Store) -> None:
    """Forgets everything that was learned from text. What stays: identity, calibration, cost curve.

    Raises:
        StoreError: The file cannot be written.
    """
    with store.file.writing() as db:
        db.table("ngrams").delete_where()
        db.table("built").delete_where()
        db.table("meta").delete_where("name LIKE 'count.%'")
        found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'sqlite_stat[1-4]'")
        for (name,) in found.fetchall():  # of ANALYZE: samples of what there was
            db.execute(f"DELETE FROM {name}")
    store.file.compact()


def verify(store: Store, *, most: int = 20) -> list[str]:
    """Reads the whole file; returns what is wrong with it, at most ``most`` findings. Empty: the store is sound.

    Raises:
        StoreError: The file cannot be read at all.
    """
    with store.file.reading() as db:
        findings = [text for (text,) in db.execute(f"PRAGMA integrity_check({int(most)})").fetchall() if text != "ok"]
        if findings:
            return findings
        odd = db.table("ngrams").count_where(
            f"typeof(record) != 'blob' OR length(record) > {_native.MAX_RECORD_BYTES} OR total < 1 OR seen < 0"
        )
    if odd:
        findings.append(f"{odd} records with a value that no store writes")
    for key, record in store.scan():
        if wrong := _wrong(key, record, store.identity.n_vocab):
            findings.append(f"record {key}: {wrong}")
            if len(findings) >= most:
                break
    return findings


def _wrong(key: int, record: bytes, n_vocab: int) -> str:
    try:
        _native.decode_record(key, record, n_vocab)
    except ValueError as error:
        return str(error)
    return ""
