"""Moves n-grams between stores: export and import as JSON lines of text.

An exported line is one n-gram list: the text of its key, the texts that followed with their counts, and the token ids.
A store of the same tokenizer takes the ids back exactly; one of another tokenizer reads the texts anew: key and
follower are tokenized together, and counted for the longest key that the new tokenizer makes of them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import groupby, islice
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Any

from hd_edge import _native
from hd_edge.errors import CorpusError, StoreForeignError, StoreMismatchError
from hd_edge.model.identity import Identity

from .connection import store_errors
from .open_stores import open_stores
from .output import is_stream, kept_mode, open_stream
from .ownership import new_text, real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hd_edge.model.vocabulary import Vocabulary

    from .store import Store

FORMAT = "hd_edge n-grams"
LENGTHS = (1, 2, 3, 4, 6, 8)  # tokens of a key
BATCH = 20_000  # records packed at a time
SHOWN = 60  # characters of a wrong line
MAX_COUNT = (1 << 32) - 1


@contextmanager
def export_file(path: Path) -> Iterator[IO[str]]:
    """A file to export to, which appears when it is complete. An earlier export is replaced, nothing else is.

    Raises:
        StoreForeignError: What stands there is no export.
        StoreError: It cannot be written.
    """
    if is_stream(path):
        with store_errors(path), open_stream(path) as stream, TextIOWrapper(stream, "utf-8", newline="") as out:
            yield out
        return
    with store_errors(path):
        real = real_path(path)
        replaces = os.path.lexists(real)
        if replaces:
            _check_export(real, path)
        with new_text(real, replaces=replaces, mode=kept_mode(real, 0o600)) as out:
            yield out


def _check_export(real: Path, path: Path) -> None:
    try:
        check_header((open_stores.start(real, 1 << 16) or b"").split(b"\n")[0].decode())
    except (CorpusError, UnicodeDecodeError) as error:
        msg = f"{path} is no export of hd_edge; it was left alone: name another file"
        raise StoreForeignError(msg) from error


def export(store: Store, vocabulary: Vocabulary, identity: Identity, out: IO[str]) -> int:
    """Writes a header line and one line per key; returns how many keys.

    Args:
        store: What is written.
        vocabulary: Of a model with the store's tokenizer.
        identity: Of that model.
        out: Where to.

    Raises:
        StoreMismatchError: The model has another tokenizer: its texts would be wrong.
    """
    own = store.identity
    if identity.tokenizer != own.tokenizer:
        msg = (
            f"store {store.path} is of {own.name} (tokenizer {own.tokenizer[:12]}, {own.n_vocab} tokens), the model is"
            f" {identity.name} ({identity.tokenizer[:12]}, {identity.n_vocab} tokens): name the store's with -m"
        )
        raise StoreMismatchError(msg)
    header = {"format": FORMAT, "version": 1, "kind": store.kind, **store.identity.to_dict()}
    out.write(json.dumps(header, ensure_ascii=False) + "\n")
    keys = 0
    for context, total, followers in store.lists():
        line = {
            "key": vocabulary.decode(context),
            "next": [[vocabulary.decode([token]), count] for token, count in followers],
            "total": total,
            "ids": [list(context), [token for token, _ in followers]],
        }
        out.write(json.dumps(line) + "\n")  # ASCII: half a character stands as a lone surrogate
        keys += 1
    return keys


def import_text(store: Store, vocabulary: Vocabulary, lines: Iterable[str]) -> int:
    """Adds the counts of an export to a store, all of them or none; returns how many keys were taken.

    Raises:
        CorpusError: A line is not of an export; names it.
        StoreError: The store cannot be written.
    """
    taken = 0

    def found() -> Iterator[tuple[int, str]]:
        nonlocal taken
        for ngrams in _keys(lines, vocabulary, store.identity):
            taken += bool(ngrams)
            yield from ((key, json.dumps(one)) for key, one in ngrams)

    # Another tokenizer brings the n-grams of a key from anywhere: they are put together before they are added.
    with store_errors("the temporary file of an import"), closing(sqlite3.connect("")) as by_key:
        by_key.execute("CREATE TABLE ngrams (key INTEGER, list TEXT)")
        by_key.executemany("INSERT INTO ngrams VALUES (?, ?)", found())
        store.add_together(_batches(by_key, store.identity.n_vocab))
    return taken


def _batches(by_key: sqlite3.Connection, n_vocab: int) -> Iterator[tuple[dict[int, bytes], dict[str, int]]]:
    rows = by_key.execute("SELECT key, list FROM ngrams ORDER BY key, rowid")
    lists = ((key, [_read_list(text) for _, text in found]) for key, found in groupby(rows, itemgetter(0)))
    while batch := dict(islice(lists, BATCH)):
        yield _packed(batch, n_vocab), {}


def _read_list(text: str) -> _native.NgramList:
    context, total, followers = json.loads(text)
    return tuple(context), total, followers


@contextmanager
def checked(lines: Iterable[str], vocabulary: Vocabulary, identity: Identity) -> Iterator[IO[str]]:
    """The lines of an export, read to their end before anything is written: an import takes all of them, or none.

    Raises:
        CorpusError: As ``import_text``.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass") as copy:

        def copied() -> Iterator[str]:
            for line in lines:
                copy.write(line)
                yield line

        for _ in _keys(copied(), vocabulary, identity):
            pass
        copy.seek(0)
        yield copy


def _keys(
    lines: Iterable[str], vocabulary: Vocabulary, identity: Identity
) -> Iterator[list[tuple[int, _native.NgramList]]]:
    """The n-grams of each line behind the first, with their keys.

    Raises:
        CorpusError: A line is not of an export; names it.
    """
    same: bool | None = None
    number = 1
    try:
        for line in lines:
            if same is None:
                source = check_header(line)
                same = source is not None and source.tokenizer == identity.tokenizer
            else:
                entry = _Entry.parse(line)
                found = []
                for ngrams in [entry.ngrams()] if same else _read_anew(entry, vocabulary):
                    key = _key(ngrams[0], identity.n_vocab)
                    _native.encode_record(key, [ngrams], identity.n_vocab)  # refuses what is out of range
                    found.append((key, ngrams))
                yield found
            number += 1
    except (ValueError, RuntimeError) as error:
        if isinstance(error, CorpusError):
            raise
        msg = f"line {number} is not of an export ({error})"
        raise CorpusError(msg) from error
    if same is None:
        check_header("")


def check_header(line: str) -> Identity | None:
    """Whose n-grams an export holds, by its first line.

    Raises:
        CorpusError: It is no export.
    """
    try:
        header = json.loads(line)
        if (header["format"], header["version"]) != (FORMAT, 1):
            raise ValueError(header["version"])
        return Identity.from_dict(header)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"the first line is not the header of an export of hd_edge, of version 1: {line[:SHOWN]!r}"
        raise CorpusError(msg) from error


def read_header(lines: IO[str]) -> str:
    """The first line of an export.

    Raises:
        CorpusError: It is none.
    """
    try:
        line = lines.readline(1 << 16)
    except ValueError as error:
        msg = f"line 1 is not of an export ({error})"
        raise CorpusError(msg) from error
    check_header(line)
    return line


@dataclass(frozen=True)
class _Entry:
    """One line of an export: a key, what followed it, and the ids of both in the exporting tokenizer."""

    key: str
    texts: list[str]
    counts: list[int]
    total: int
    context: list[int]
    tokens: list[int]

    @classmethod
    def parse(cls, line: str) -> _Entry:
        """Raises ValueError for anything but what ``export()`` writes."""
        try:
            entry = json.loads(line)
            (context, tokens), pairs = entry["ids"], entry["next"]
            texts, counts = [text for text, _ in pairs], [count for _, count in pairs]
            numbers = [entry["total"], *counts, *context, *tokens]
            strings = [entry["key"], *texts]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            msg = f"not JSON with the fields key, next, total and ids: {line[:SHOWN]!r}"
            raise ValueError(msg) from error
        if not all(isinstance(text, str) for text in strings) or len(tokens) != len(texts):
            msg = "a text is none, or there are not as many texts as ids"
            raise ValueError(msg)
        if not all(type(number) is int and 0 <= number <= MAX_COUNT for number in numbers):
            msg = f"a count or an id is no integer from 0 to {MAX_COUNT}"
            raise ValueError(msg)
        return cls(entry["key"], texts, counts, entry["total"], context, tokens)

    def ngrams(self) -> _native.NgramList:
        """For the tokenizer that exported it."""
        return tuple(self.context), self.total, list(zip(self.tokens, self.counts, strict=True))


def _read_anew(entry: _Entry, vocabulary: Vocabulary) -> list[_native.NgramList]:
    """The n-grams that another tokenizer makes of the texts, each for the longest key there is."""
    found: dict[tuple[int, ...], dict[int, int]] = {}
    for text, count in zip(entry.texts, entry.counts, strict=True):
        tokens = vocabulary.encode_inside(entry.key + text)
        length = next((n for n in reversed(LENGTHS) if n < len(tokens)), 0)
        if length:
            followers = found.setdefault(tuple(tokens[-length - 1 : -1]), {})
            followers[tokens[-1]] = min(followers.get(tokens[-1], 0) + count, MAX_COUNT)
    return [(context, 0, Counter(followers).most_common()) for context, followers in found.items()]


def _key(context: tuple[Any, ...], n_vocab: int) -> int:
    if len(context) not in LENGTHS or not all(isinstance(t, int) and 0 <= t < n_vocab for t in context):
        msg = f"its key is of {len(context)} ids, expected {' or '.join(map(str, LENGTHS))}, each below {n_vocab}"
        raise ValueError(msg)
    return int(context[-1] if len(context) == 1 else (context[-2] + 1) << 32 | context[-1])


def _packed(collected: dict[int, list[_native.NgramList]], n_vocab: int) -> dict[int, bytes]:
    """What was collected, as records.

    Keys of several lengths of the other tokenizer may become one key here. They tell of the same texts, so the highest
    count of a follower is taken, not the sum.
    """
    records = {}
    for key, lists in collected.items():
        merged: dict[tuple[int, ...], tuple[int, dict[int, int]]] = {}
        for context, total, followers in lists:
            known_total, known = merged.setdefault(context, (0, {}))
            for token, count in followers:
                known[token] = max(known.get(token, 0), count)
            merged[context] = (max(known_total, total), known)
        packed = [(context, total, Counter(followers).most_common()) for context, (total, followers) in merged.items()]
        records[key] = _native.encode_record(key, packed, n_vocab)
    return records
