"""StoredTier: what the two SQLite tiers have in common. The drafter reads ``cache`` natively, SQLite fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge import _native
from hd_edge.errors import StoreBusyError, StoreCorruptError, StoreError
from hd_edge.store.safety import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hd_edge.store.store import Store

MAX_BUSY = 3  # fetches in a row that found the file locked, until the tier stops asking


class StoredTier:
    """A tier whose rows come from a store, at most four point look-ups per call.

    Args:
        name: ``"model"`` or ``"statistics"``.
        store: An open store; None: the tier is empty.
        n_vocab: Size of the vocabulary.
        budget: Bytes of decoded rows to keep in memory.

    Attributes:
        cache: The rows in memory, for the drafter.
        lookups: Rows asked of the file so far.
        hits: How many of them were there.
    """

    def __init__(self, name: str, store: Store | None, n_vocab: int, budget: int) -> None:
        self.name = name
        self.store = store
        self.cache = _native.TierCache(n_vocab, budget)
        self.lookups = 0
        self.hits = 0
        self._busy = 0
        self._complained = False

    def fetch(self, keys: Sequence[int]) -> int:
        """Reads rows of the file into the cache.

        Args:
            keys: Row keys (``_native.ngram_key``), likeliest first; those after the fourth are left for later.

        Returns:
            How many look-ups were made. Never raises: a store that fails warns once and turns itself off.
        """
        wanted = [int(key) for key in keys[:4]]
        if self.store is None:
            self._forget(wanted)
            return 0
        try:
            rows = self.store.fetch(wanted)
        except StoreBusyError as error:
            self._busy += 1
            if self._busy >= MAX_BUSY:
                self.turn_off(error)
            return 0
        except StoreCorruptError as error:
            self.found_damage(error)
            self._forget(wanted)
            return 0
        except StoreError as error:
            self.turn_off(error)
            self._forget(wanted)
            return 0
        self._busy = 0
        for key, record in rows.items():
            wrong = self.cache.put(key, record)
            if wrong:
                self.complain(f"store {self.store.path}: row {key} is damaged ({wrong}) and counts as absent")
        self.lookups += len(rows)
        self.hits += sum(record is not None for record in rows.values())
        return len(rows)

    def preload(self, largest: int, memory: int, least_total: int | None = None) -> None:
        """Reads rows before they are asked for: no look-up is left to make for them, however deep a draft goes.

        Args:
            largest: Bytes of the largest file that this is done for.
            memory: Bytes of decoded rows at which to stop; below the budget, so that nothing is evicted.
            least_total: Only rows seen so often; None: all of them.
        """
        if self.store is None:
            return
        try:
            if self.store.file.size() > largest:
                return
            for key, record in self.store.scan() if least_total is None else self.store.scan(least_total):
                if wrong := self.cache.put(key, record):
                    self.complain(f"store {self.store.path}: row {key} is damaged ({wrong}) and counts as absent")
                if self.cache.memory_bytes() > memory:
                    return
        except StoreCorruptError as error:
            self.found_damage(error)
        except StoreBusyError:
            return
        except StoreError as error:
            self.turn_off(error)
        else:
            if least_total is None:
                self.cache.set_complete()

    def _forget(self, keys: Sequence[int]) -> None:
        for key in keys:
            self.cache.put(key, None)  # known to be absent: not asked for again

    def found_damage(self, error: StoreCorruptError) -> None:
        """The file turned out to be damaged."""
        self.turn_off(error)

    def turn_off(self, error: StoreError) -> None:
        """Goes on without the file; rows in memory stay."""
        self.complain(f"{error}; going on without the {self.name} tier's file")
        self.close()

    def complain(self, message: str) -> None:
        """Warns, once per tier."""
        if not self._complained:
            self._complained = True
            warn(message)

    def close(self) -> None:
        """Closes the store; rows in memory stay. A second call does nothing."""
        if self.store is not None:
            self.store.close()
            self.store = None
