"""What ``hd-edge db info`` tells of a store."""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge.config import data_folder
from hd_edge.errors import StoreError
from hd_edge.model.vocabulary import identify
from hd_edge.stats import TIERS

from .safety import default_path
from .store import Store

if TYPE_CHECKING:
    from hd_edge.model.vocabulary import Vocabulary

SHOWN_KEY = 4  # tokens of the keys whose continuations are shown


def all_stores() -> list[Path]:
    """Every store in the data folder."""
    return sorted(data_folder().glob("*/*.sqlite3"))


def stores_of(model: Any) -> list[Path]:
    """The default stores of a loaded model that are there."""
    identity = identify(model)
    return [path for kind in ("model", "statistics") if (path := default_path(identity, kind)).exists()]


def report(path: Path, vocabulary: Vocabulary | None = None, top: int = 10) -> dict[str, Any]:
    """Size, counts and hit rates; with a vocabulary also the most used continuations as text.

    Never raises for a bad file: then ``error`` says what is wrong.
    """
    result: dict[str, Any] = {"path": str(path)}
    try:
        with Store(path, kind=None, read_only=True) as store:
            counters = store.counters()
            result |= {
                "kind": store.kind,
                "model": store.identity.name,
                "tokenizer": store.identity.tokenizer[:16],
                "n_vocab": store.identity.n_vocab,
                "bytes": store.file.size(),
                "records": len(store),
                "answers": counters.get("answers", 0),
                "corpus_tokens": store.numbers().get("corpus.tokens", 0),
                "tiers": {tier: _rates(counters, tier) for tier in TIERS} if store.kind == "model" else {},
            }
            if vocabulary is not None and vocabulary.n_tokens == store.identity.n_vocab:
                result["continuations"] = _continuations(store, vocabulary, top)
    except StoreError as error:
        result["error"] = str(error)
    return result


def _rates(counters: dict[str, int], tier: str) -> dict[str, float | int]:
    counts = {name: counters.get(f"{tier}.{name}", 0) for name in ("lookups", "hits", "drafted", "accepted")}
    return {
        **counts,
        "hit_rate": counts["hits"] / counts["lookups"] if counts["lookups"] else 0.0,
        "acceptance_rate": counts["accepted"] / counts["drafted"] if counts["drafted"] else 0.0,
    }


def _continuations(store: Store, vocabulary: Vocabulary, top: int) -> list[dict[str, Any]]:
    best: list[tuple[int, tuple[int, ...], int]] = []
    for context, _, followers in store.lists():
        if len(context) == SHOWN_KEY:
            item = (followers[0][1], context, followers[0][0])
            (heapq.heappush if len(best) < top else heapq.heappushpop)(best, item)
    return [
        {"count": count, "text": vocabulary.decode(context), "next": vocabulary.decode([token])}
        for count, context, token in sorted(best, reverse=True)
    ]
