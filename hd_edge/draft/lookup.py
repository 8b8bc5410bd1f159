"""Lookups: brings the rows that the drafter missed from the tiers' files into memory, within a time budget."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from hd_edge.stats import TIER_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hd_edge import _native
    from hd_edge.tiers.tier import StoredTier

FETCHED = 0.01  # share of the forwards' time that look-ups may take
MOST = 4  # keys of one tier in one step
FIRST_GUESS = 50e-6  # seconds of one look-up, until some were made


class Drafter(Protocol):
    """What native drafters have in common here."""

    def attach(self, tier: int, cache: _native.TierCache) -> None:
        """Lets the drafter read this tier's rows."""
        ...

    def missing(self, tier: int) -> list[int]:
        """Keys of the last tree that were not in memory."""
        ...


class Lookups:
    """The SQLite side of drafting.

    Args:
        drafter: Reads the caches of the tiers.
        tiers: The SQLite tiers in use.
        clock: Seconds, as ``time.perf_counter``.
    """

    def __init__(
        self,
        drafter: Drafter,
        tiers: Sequence[StoredTier],
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._drafter = drafter
        self._tiers = [(TIER_NAMES.index(tier.name), tier) for tier in tiers]
        for number, tier in self._tiers:
            drafter.attach(number, tier.cache)
        self._clock = clock
        self._allowance = MOST * FIRST_GUESS  # seconds
        self._each = FIRST_GUESS

    def allow(self, seconds: float) -> None:
        """A forward took this long: a share of it may be spent on look-ups."""
        self._allowance = min(self._allowance + FETCHED * seconds, 4 * MOST * self._each)

    def fetch(self) -> int:
        """Reads what the last tree missed, as much as the allowance permits; returns how many rows were asked."""
        total = 0
        for number, tier in self._tiers:
            keys: Sequence[int] = self._drafter.missing(number)
            affordable = min(len(keys), MOST, int(self._allowance / self._each))
            if affordable < 1:
                continue
            started = self._clock()
            asked = tier.fetch(keys[:affordable])
            spent = self._clock() - started
            self._allowance -= spent
            if asked:
                self._each += 0.1 * (spent / asked - self._each)
            total += affordable  # also rows now known to be absent make a difference
        return total
