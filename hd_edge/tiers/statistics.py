"""StatisticsTier: n-grams of a large text corpus, read-only, shared by all models of one tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tier import StoredTier

if TYPE_CHECKING:
    from hd_edge.store.safety import SafeStore

BUDGET = 64 << 20
PRELOADED = 256 << 20  # bytes of a file whose frequent records are read when it is opened: they answer most look-ups
PRELOADED_MEMORY = 40 << 20  # what they take, about
FREQUENT = "corpus.frequent"  # name of the meta value


class StatisticsTier(StoredTier):
    """The tier of lowest locality.

    Args:
        safe: A statistics store.
        budget: Bytes of decoded records to keep in memory.
    """

    def __init__(self, safe: SafeStore, budget: int = BUDGET) -> None:
        super().__init__(safe, budget, PRELOADED, budget)

    def least_total(self) -> int | None:
        """The total from which on the corpus' records fit in memory, as ``build-statistics`` noted it."""
        numbers = self.safe.read(lambda store: store.numbers())
        return (numbers or {}).get(FREQUENT) or None
