"""Allowance: seconds that something may take, a share of all time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


class Allowance:
    """A token bucket of seconds. It may be overdrawn once; then it has to fill up again before the next time.

    Args:
        share: Of the time that passes.
        most: Seconds that are saved up, and there at the beginning.
        clock: Seconds, as ``time.perf_counter``.
    """

    def __init__(self, share: float, most: float, clock: Callable[[], float] = perf_counter) -> None:
        self._share, self._most, self._clock = share, most, clock
        self._left, self._at = most, clock()

    @property
    def left(self) -> float:
        """Seconds that may be spent; negative while overdrawn."""
        now = self._clock()
        self._left, self._at = min(self._left + self._share * (now - self._at), self._most), now
        return self._left

    @contextmanager
    def spending(self) -> Iterator[None]:
        """What this block takes is paid from it."""
        started = self._clock()
        try:
            yield
        finally:
            self._left -= self._clock() - started
