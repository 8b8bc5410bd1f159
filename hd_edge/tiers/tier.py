"""StoredTier: what the two SQLite tiers have in common. The drafter reads ``cache`` natively, SQLite fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge import _native

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hd_edge.store.safety import SafeStore
    from hd_edge.store.store import Store

MAX_LOOKUPS = 4  # point look-ups per call


class StoredTier:
    """A tier whose records come from a file; nothing here raises a StoreError.

    Args:
        safe: The store and its safety net.
        budget: Bytes of decoded records to keep in memory.
        largest: Bytes of the largest file that is read before anything is asked for.
        preloaded: Bytes of decoded records at which that reading stops; below the budget, so that nothing is evicted.

    Attributes:
        cache: The records in memory, for the drafter.
        lookups: Records asked of the file so far.
        hits: How many of them were there.
    """

    def __init__(self, safe: SafeStore, budget: int, largest: int, preloaded: int) -> None:
        self.safe = safe
        self.name = safe.kind
        self.cache = _native.TierCache(safe.identity.n_vocab, budget)
        self.lookups = 0
        self.hits = 0
        self._largest = largest
        self._preloaded = preloaded
        safe.reopened = self._reload
        self._reload()

    @property
    def store(self) -> Store | None:
        """The open store; None: the tier goes on without."""
        return self.safe.store

    def fetch(self, keys: Sequence[int]) -> int:
        """Reads records of the file into the cache.

        Args:
            keys: Record keys (``_native.ngram_key``), likeliest first; those after the fourth are left for later.

        Returns:
            How many look-ups were made.
        """
        wanted = [int(key) for key in keys[:MAX_LOOKUPS]]
        records = self.safe.read(lambda store: store.fetch(wanted))
        if records is None:
            if self.store is None:
                self.cache.set_complete()  # what is not known will never be
            return 0
        for key, record in records.items():
            self._put(key, record)
        self.lookups += len(records)
        self.hits += sum(record is not None for record in records.values())
        return len(records)

    def least_total(self) -> int | None:
        """Records seen less often are not read before they are asked for; None: nothing is."""
        return 1

    def _reload(self) -> None:
        """Reads records before they are asked for: no look-up is left to make for them, however deep a draft goes."""
        self.cache.clear()
        if self.safe.read(self._preload) or self.store is None:
            self.cache.set_complete()

    def _preload(self, store: Store) -> bool:
        """True if every record of the file is in memory now."""
        least = self.least_total()
        if least is None or store.file.size() > self._largest:
            return False
        for key, record in store.scan() if least <= 1 else store.scan(least):
            self._put(key, record)
            if self.cache.memory_bytes() > self._preloaded:
                return False
        return least <= 1

    def _put(self, key: int, record: bytes | None) -> None:
        if wrong := self.cache.put(key, record):
            self.safe.tell("record", f"store {self.safe.path}: record {key} is damaged ({wrong}) and counts as absent")

    def close(self) -> None:
        """Closes the file; records in memory stay. A second call does nothing."""
        self.safe.close()
