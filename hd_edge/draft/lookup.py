"""Lookups: brings the rows that the drafter missed from the tiers' files into memory, within a time budget."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hd_edge.tiers.tier import StoredTier

FETCHED = 0.01  # share of the forwards' time that look-ups may take
MOST = 4  # keys of one tier in one step
FIRST_GUESS = 50e-6  # seconds of one look-up, until some were made


class Lookups:
    """The SQLite side of drafting.

    Args:
        tiers: The SQLite tiers in use.
        clock: Seconds, as ``time.perf_counter``.
    """

    def __init__(
        self,
        tiers: Sequence[StoredTier],
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._tiers = tiers
        self._clock = clock
        self._allowance = MOST * FIRST_GUESS  # seconds
        self._each = FIRST_GUESS

    def allow(self, seconds: float) -> None:
        """A forward took this long: a share of it may be spent on look-ups."""
        self._allowance = min(self._allowance + FETCHED * seconds, 4 * MOST * self._each)

    def fetch(self, missing: Mapping[str, Sequence[int]]) -> int:
        """Reads records into memory, as many as the allowance permits; returns how many were asked.

        Args:
            missing: By the tier's name the keys that were not in memory, likeliest first.
        """
        total = 0
        for tier in self._tiers:
            keys = missing[tier.name]
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
