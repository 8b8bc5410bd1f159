"""ModelTier: n-grams of this target's own outputs, learned from every finished generation.

Counts are per answer, as in Hierarchy Drafting (arXiv 2502.05609): what the model repeats within one answer is the
context tier's business, what it says in many answers is worth keeping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hd_edge import _native
from hd_edge.errors import StoreBusyError, StoreCorruptError, StoreError
from hd_edge.store.safety import move_aside, open_model_store
from hd_edge.store.upkeep import prune

from .tier import StoredTier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hd_edge.store.store import Store

BUDGET = 48 << 20
PRELOADED = 4 << 20  # bytes of a file that is read as a whole when it is opened: 0.2 s at most
PRELOADED_MEMORY = 40 << 20  # below BUDGET, so that nothing is evicted while reading
MAX_PENDING = 32  # answers kept for the next flush while the file cannot be written


class ModelTier(StoredTier):
    """The tier that learns.

    Args:
        store: An open store of this model, perhaps one in memory; None: the tier is empty and learns nothing.
        n_vocab: Size of the vocabulary.
        learn: False: read only.
        budget: Bytes of decoded rows to keep in memory.
    """

    def __init__(self, store: Store | None, n_vocab: int, *, learn: bool = True, budget: int = BUDGET) -> None:
        super().__init__("model", store, n_vocab, budget)
        self.learning = learn and store is not None
        self._counter: _native.AnswerCounter | None = None
        self._pending: list[dict[int, bytes]] = []
        self._answers = 0
        self._counts: dict[str, int] = {}
        self._damage: StoreCorruptError | None = None
        self.preload(PRELOADED, PRELOADED_MEMORY)

    def learn(self, tokens: NDArray[np.int32], prompt_len: int) -> None:
        """Takes in a finished answer, in memory; ``flush()`` writes it.

        Args:
            tokens: The whole conversation.
            prompt_len: How many of its tokens were given. Only n-grams that end in a generated token are learned.
        """
        if not self.learning or len(tokens) <= prompt_len:
            return
        if self._counter is None:
            self._counter = _native.AnswerCounter(self.cache.n_vocab)
        answer = np.ascontiguousarray(tokens[max(prompt_len - 8, 0) :], dtype=np.int32)  # longest key: 6 tokens
        rows = dict(self._counter.rows(answer, min(prompt_len, 8)))
        self._pending = [*self._pending[1 - MAX_PENDING :], rows]
        self._answers += 1

    def count(self, name: str, amount: int) -> None:
        """Adds to a named counter that ``hd-edge db info`` shows; written with the next flush."""
        if amount and self.learning:
            self._counts[name] = self._counts.get(name, 0) + amount

    def flush(self) -> None:
        """Writes what was learned, in one transaction. Call between generations. Never raises, warns once."""
        if self._damage is not None:
            self._recover(self._damage)
        if not self._pending or self.store is None:
            return
        if not self.store.file.in_place():
            self._replace(f"store {self.store.path} was deleted or replaced while in use; it begins anew")
        try:
            self._write(self.store)
        except StoreBusyError as error:
            self.complain(f"{error}; what was learned is kept for the next flush")
        except StoreCorruptError as error:
            self._recover(error)
        except StoreError as error:
            self.complain(f"{error}; nothing new is learned until it can be written")

    def _write(self, store: Store) -> None:
        rows = self._pending[0]
        for more in self._pending[1:]:
            for key, row in more.items():
                known = rows.get(key)
                rows[key] = row if known is None else _native.merge_records(key, known, row, self.cache.n_vocab)[1]
        self._pending = [rows]  # on failure they wait as one
        for key, record in store.add(rows, answers=self._answers, counters=self._counts).items():
            if self.cache.known(key):
                self.cache.put(key, record)
        self._pending = []
        self._answers = 0
        self._counts = {}
        if store.file.size() > store.cap:
            prune(store)

    def _recover(self, error: StoreCorruptError) -> None:
        """Moves the damaged file aside, begins a new one, writes there."""
        self._damage = None
        path = self.store.path if self.store is not None and self.store.file.in_place() else None
        try:
            aside = f"; it was moved to {move_aside(path)} and a new store begins" if path is not None else ""
        except StoreError as failed:
            self.turn_off(failed)
            return
        self._replace(f"{error}{aside}")
        try:
            if self.store is not None and self._pending:
                self._write(self.store)
        except StoreError as again:
            self.turn_off(again)

    def _replace(self, reason: str) -> None:
        self.complain(reason)
        if self.store is not None:
            old = self.store
            old.close()
            self.store = open_model_store(old.path, old.identity, cap=old.cap)
            self.cache.clear()
            self.preload(PRELOADED, PRELOADED_MEMORY)

    def found_damage(self, error: StoreCorruptError) -> None:
        """A learning tier mends it with the next flush, between generations."""
        if not self.learning:
            self.turn_off(error)
        else:
            self._damage = error

    def turn_off(self, error: StoreError) -> None:
        """Goes on without the file; learns nothing more."""
        self.learning = False
        self._pending = []
        super().turn_off(error)

    def close(self) -> None:
        """Flushes and closes."""
        self.flush()
        super().close()
