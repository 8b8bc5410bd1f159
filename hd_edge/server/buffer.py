"""Chunks on their way from the thread that generates to the client that reads: a few at most, and not for ever."""

from __future__ import annotations

import asyncio
import threading
import time
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
        self._arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
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
        self._loop.call_soon_threadsafe(self._arrivals.put_nowait, arrival)

    async def get(self) -> Arrival:
        """The next arrival; call ``taken`` when it is sent."""
        return await self._arrivals.get()

    def taken(self) -> None:
        """An arrival was sent: there is room for another."""
        with self._changed:
            self._unread -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is read any more: who waits in ``put`` gives up."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
