"""Moves n-grams between stores: merge (same tokenizer), export and import as JSON lines of text.

An exported line is one n-gram list: the text of its key, the texts that followed with their counts, and the token ids.
A store of the same tokenizer takes the ids back exactly; one of another tokenizer reads the texts anew: key and
follower are tokenized together, and counted for the longest key that the new tokenizer makes of them.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

from hd_edge import _native
from hd_edge.errors import CorpusError, StoreMismatchError

from .identity import Identity

if TYPE_CHECKING:
    from hd_edge.model.vocabulary import Vocabulary

    from .store import Store

FORMAT = "hd_edge n-grams"
LENGTHS = (1, 2, 3, 4, 6, 8)  # tokens of a key
BATCH = 20_000  # rows per transaction


def merge(into: Store, source: Store) -> int:
    """Adds all counts of ``source`` to ``into``; returns how many rows were read.

    Raises:
        StoreMismatchError: Another tokenizer.
        StoreError: A file cannot be read or written.
    """
    source.identity.check(into.identity, of=f"store {source.path}", any_model=True)
    rows: dict[int, bytes] = {}
    count = 0
    for key, record in source.scan():
        rows[key] = record
        count += 1
        if len(rows) >= BATCH:
            into.add(rows, answers=0)
            rows = {}
    into.add(rows, answers=source.counters().get("answers", 0))
    return count


def export(store: Store, vocabulary: Vocabulary, out: IO[str]) -> int:
    """Writes a header line and one line per key; returns how many keys.

    Raises:
        StoreMismatchError: ``vocabulary`` is not the store's.
    """
    if vocabulary.n_tokens != store.identity.n_vocab:
        msg = f"store {store.path} has {store.identity.n_vocab} tokens, the model {vocabulary.n_tokens}"
        raise StoreMismatchError(msg)
    header = {"format": FORMAT, "version": 1, "kind": store.kind, **store.identity.to_dict()}
    out.write(json.dumps(header, ensure_ascii=False) + "\n")
    keys = 0
    for key, record in store.scan():
        for context, total, followers in _lists(key, record, store.identity.n_vocab):
            line = {
                "key": vocabulary.decode(context),
                "next": [[vocabulary.decode([token]), count] for token, count in followers],
                "total": total,
                "ids": [list(context), [token for token, _ in followers]],
            }
            out.write(json.dumps(line) + "\n")  # ASCII: half a character stands as a lone surrogate
            keys += 1
    return keys


def _lists(key: int, record: bytes, n_vocab: int) -> list[_native.NgramList]:
    try:
        return _native.decode_record(key, record, n_vocab)
    except ValueError:  # a damaged row counts as absent; `hd-edge db verify` names it
        return []


def import_text(store: Store, vocabulary: Vocabulary, lines: IO[str]) -> int:
    """Adds the counts of an export to a store; returns how many keys were taken.

    Raises:
        CorpusError: A line is not of an export.
        StoreError: The store cannot be written.
    """
    source = _header(lines.readline())
    same = source is not None and source.tokenizer == store.identity.tokenizer
    collected: dict[int, list[_native.NgramList]] = {}
    taken = 0
    for number, line in enumerate(lines, 2):
        try:
            entry = json.loads(line)
            found = [_as_it_is(entry)] if same else _read_anew(entry, vocabulary)
            for ngrams in found:
                key = _key(ngrams[0], store.identity.n_vocab)
                if len(collected) >= BATCH and key not in collected:
                    _add(store, collected)
                    collected = {}
                collected.setdefault(key, []).append(ngrams)
        except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
            msg = f"line {number} is not of an export ({error})"
            raise CorpusError(msg) from error
        taken += bool(found)
    try:
        _add(store, collected)
    except (ValueError, RuntimeError) as error:
        msg = f"the export has an n-gram out of range ({error})"
        raise CorpusError(msg) from error
    return taken


def _header(line: str) -> Identity | None:
    try:
        header = json.loads(line)
        if (header["format"], header["version"]) != (FORMAT, 1):
            raise ValueError(header["version"])
        return Identity.from_dict(header)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"the first line is not the header of an export of hd_edge ({error})"
        raise CorpusError(msg) from error


def _as_it_is(entry: dict[str, Any]) -> _native.NgramList:
    context, tokens = entry["ids"]
    counts = [count for _, count in entry["next"]]
    return tuple(context), int(entry["total"]), list(zip(tokens, counts, strict=True))


def _read_anew(entry: dict[str, Any], vocabulary: Vocabulary) -> list[_native.NgramList]:
    """The n-grams that another tokenizer makes of the texts, each for the longest key there is."""
    found: dict[tuple[int, ...], dict[int, int]] = {}
    for text, count in entry["next"]:
        tokens = vocabulary.encode_inside(entry["key"] + text)
        length = next((n for n in reversed(LENGTHS) if n < len(tokens)), 0)
        if length:
            followers = found.setdefault(tuple(tokens[-length - 1 : -1]), {})
            followers[tokens[-1]] = followers.get(tokens[-1], 0) + int(count)
    return [(context, 0, _ranked(followers)) for context, followers in found.items()]


def _ranked(followers: dict[int, int]) -> list[tuple[int, int]]:
    return sorted(followers.items(), key=lambda item: -item[1])


def _key(context: tuple[Any, ...], n_vocab: int) -> int:
    if len(context) not in LENGTHS or not all(isinstance(t, int) and 0 <= t < n_vocab for t in context):
        raise ValueError(context)
    return int(context[-1] if len(context) == 1 else (context[-2] + 1) << 32 | context[-1])


def _add(store: Store, collected: dict[int, list[_native.NgramList]]) -> None:
    """Packs what was collected into rows and adds them.

    Keys of several lengths of the other tokenizer may become one key here. They tell of the same texts, so the highest
    count of a follower is taken, not the sum.
    """
    rows = {}
    for key, lists in collected.items():
        merged: dict[tuple[int, ...], tuple[int, dict[int, int]]] = {}
        for context, total, followers in lists:
            known_total, known = merged.setdefault(context, (0, {}))
            for token, count in followers:
                known[token] = max(known.get(token, 0), count)
            merged[context] = (max(known_total, total), known)
        packed = [(context, total, _ranked(followers)) for context, (total, followers) in merged.items()]
        rows[key] = _native.encode_record(key, packed, store.identity.n_vocab)
    store.add(rows, answers=0)
