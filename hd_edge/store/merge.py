"""Adds the counts of stores of one tokenizer to another store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hd_edge.model.identity import Identity

    from .store import Store

CORPUS = ("corpus.tokens", "corpus.texts")
BATCH = 20_000  # records in memory


def merge(into: Store, sources: Iterable[Store]) -> int:
    """Adds all counts of the sources to ``into``, all of them or none; returns how many records were read.

    Raises:
        StoreMismatchError: Another tokenizer.
        StoreError: A file cannot be read or written, or is there twice, perhaps under two names.
    """
    count = 0
    seen = [into]

    def batches() -> Iterator[tuple[Mapping[int, bytes], Mapping[str, int]]]:
        nonlocal count
        for source in sources:
            _check(source, into.identity)
            _check_new(source, seen)
            records: dict[int, bytes] = {}
            with source.file.standing_still():  # no half of an answer that is learned meanwhile
                for key, record in source.scan():
                    records[key] = record
                    count += 1
                    if len(records) >= BATCH:
                        yield records, {}
                        records = {}
                yield records, _summed(source)

    into.add_together(batches())
    return count


def check_sources(sources: Iterable[Store], identity: Identity) -> None:
    """Reads all that a merge will read, before a store is made for it.

    Raises:
        StoreMismatchError: Another tokenizer.
        StoreError: A file cannot be read, or is there twice.
    """
    seen: list[Store] = []
    for source in sources:
        _check(source, identity)
        _check_new(source, seen)
        with source.file.standing_still():
            for _ in source.scan():
                pass


def _summed(source: Store) -> dict[str, int]:
    """What the file counts of its texts; how many records it has is no sum."""
    return {name: n for name, n in source.numbers().items() if name.startswith("count.") or name in CORPUS}


def _check(source: Store, identity: Identity) -> None:
    source.identity.check(identity, of=f"store {source.path}", any_model=True)


def _check_new(source: Store, seen: list[Store]) -> None:
    for other in seen:
        if other is source or (source.file.id is not None and source.file.id == other.file.id):
            msg = f"stores {other.path} and {source.path} are one file, which would be counted twice: name it once"
            raise StoreError(msg)
    seen.append(source)
