"""Chunks on their way from the thread that generates to the client that reads: a few at most, and not for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable

from hd_edge.engine.running import Arrival
from hd_edge.errors import HDEdgeError

SIZE = 256  # chunks
PATIENCE = 30.0  # seconds that a generation waits for its reader, all in all


class SlowReaderError(HDEdgeError):
    """The client reads too slowly; it would hold the only turn."""


class Buffer:
    """A bounded queue from a thread to the event loop that made it.

    Args:
        patience: Seconds that ``put`` waits in all calls together.
        size: Chunks that may wait for the reader.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, patience: float = PATIENCE, size: int = SIZE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience, self._size, self._clock = patience, size, clock
        self._loop = asyncio.get_running_loop()
        self._arrivals: deque[Arrival] = deque()
        self._news = asyncio.Event()
        self._told = False  # the event loop is about to hear of all that waits
        self._changed = threading.Condition()
        self._unread = 0
        self._closed = False

    def put(self, arrival: Arrival) -> None:
        """Adds an arrival, from any thread; waits for room unless it is the last.

        Raises:
            SlowReaderError: The reader has taken its time.
        """
        if arrival.chunk is not None:
            with self._changed:
                if self._unread >= self._size and not self._closed:
                    began = self._clock()
                    self._changed.wait_for(lambda: self._unread < self._size or self._closed, self._patience)
                    self._patience = max(self._patience - (self._clock() - began), 0.0)
                if self._unread >= self._size or self._closed:
                    msg = f"the client left {self._unread} chunks unread for too long"
                    raise SlowReaderError(msg)
                self._unread += 1
        self._arrivals.append(arrival)
        if not self._told:  # else what is told once tells of this arrival, too
            self._told = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._told = False
        self._news.set()

    async def get(self) -> Arrival:
        """The next arrival; call ``taken`` when it is sent."""
        while not self._arrivals:
            self._news.clear()
            await self._news.wait()
        return self._arrivals.popleft()

    @property
    def waits(self) -> bool:
        """Whether a chunk has arrived already."""
        return bool(self._arrivals) and self._arrivals[0].chunk is not None

    def taken(self, count: int = 1) -> None:
        """Arrivals were sent: there is room for others."""
        with self._changed:
            self._unread -= count
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is read any more: who waits in ``put`` gives up."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
