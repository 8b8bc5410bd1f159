"""StatisticsTier: n-grams of a large text corpus, read-only, shared by all models of one tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge.errors import StoreError

from .tier import StoredTier

if TYPE_CHECKING:
    from hd_edge.store.store import Store

BUDGET = 64 << 20
PRELOADED = 256 << 20  # bytes of a file whose frequent rows are read when it is opened: they answer most look-ups
PRELOADED_MEMORY = 40 << 20  # what they take, about
FREQUENT = "corpus.frequent"  # name of the meta value


class StatisticsTier(StoredTier):
    """The tier of lowest locality.

    Args:
        store: An open statistics store; None: the tier is empty.
        n_vocab: Size of the vocabulary.
        budget: Bytes of decoded rows to keep in memory.
    """

    def __init__(self, store: Store | None, n_vocab: int, budget: int = BUDGET) -> None:
        super().__init__("statistics", store, n_vocab, budget)
        if store is not None and (frequent := frequent_total(store)) is not None:
            self.preload(PRELOADED, budget, frequent if frequent > 1 else None)


def frequent_total(store: Store) -> int | None:
    """The total from which on the corpus' rows fit in memory, as ``build-statistics`` noted it; None: unknown."""
    try:
        total = store.meta().get(FREQUENT)
    except StoreError:  # the first look-up meets it too, and tells
        return None
    return total if isinstance(total, int) and total > 0 else None
