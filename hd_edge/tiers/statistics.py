"""StatisticsTier: n-grams of a large text corpus, read-only, shared by all models of one tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .stored import StoredTier

if TYPE_CHECKING:
    from ..store import Store

BUDGET = 48 << 20


class StatisticsTier(StoredTier):
    """The tier of lowest locality.

    Args:
        store: An open statistics store; None: the tier is empty.
        n_vocab: Size of the vocabulary.
        budget: Bytes of decoded rows to keep in memory.
    """

    def __init__(self, store: Store | None, n_vocab: int, budget: int = BUDGET) -> None:
        super().__init__("statistics", store, n_vocab, budget)
