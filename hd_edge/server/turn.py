"""Whose turn it is: as many requests at a time as there are seats at the model, and an end that nothing outlives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from hd_edge import Llama
from hd_edge.batching.fair_queue import FairQueue

from .errors import RefusedError
from .metrics import Requests

T = TypeVar("T")

QUEUE = 1024  # requests that may wait


class Turn:
    """The right to run a model: in the order of arrival, and users take turns.

    Args:
        requests: Counts of the server.
        seats: Models, each for one request at a time.
        queue: Requests that may wait.

    Attributes:
        stopping: Set when the server ends: whoever has the turn gives it up.
    """

    def __init__(self, requests: Requests, seats: Sequence[Llama], queue: int = QUEUE) -> None:
        self._requests = requests
        self._free = list(seats)
        self._taken = 0
        self._queue: FairQueue[asyncio.Future[Llama]] = FairQueue(queue)
        self._threads: set[asyncio.Future[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = asyncio.Event()

    @asynccontextmanager
    async def seat(self, user: str = "") -> AsyncIterator[Llama]:
        """A model for this block.

        Raises:
            BusyError: So many wait already.
            RefusedError: The server ends.
        """
        llm = await self._take(user)
        self._requests.running += 1
        try:
            yield llm
        finally:
            self._requests.running -= 1
            self._give_back(llm)

    async def _take(self, user: str) -> Llama:
        if self.stopping.is_set():
            raise stopped()
        if self._free:
            self._taken += 1
            self._idle.clear()
            return self._free.pop()
        coming: asyncio.Future[Llama] = asyncio.get_running_loop().create_future()
        self._queue.push(coming, user)
        self._requests.waiting += 1
        try:
            return await coming
        except asyncio.CancelledError:
            if coming.done() and not coming.cancelled() and coming.exception() is None:
                self._give_back(coming.result())  # it came too late
            self._queue.remove(coming)
            raise
        finally:
            self._requests.waiting -= 1

    def _give_back(self, llm: Llama) -> None:
        while len(self._queue):
            coming = self._queue.pop()
            if not coming.done():
                coming.set_result(llm)
                return
        self._free.append(llm)
        self._taken -= 1
        if not self._taken:
            self._idle.set()

    async def beside(self, work: Callable[[], T]) -> T:
        """Runs what needs the model but no turn, such as its tokenizer, in a thread; the model outlives it.

        Raises:
            RefusedError: The server ends.
        """
        if self.stopping.is_set():
            raise stopped()
        running = asyncio.ensure_future(asyncio.to_thread(work))
        self._threads.add(running)
        running.add_done_callback(self._threads.discard)
        return await asyncio.shield(running)

    async def stop(self) -> None:
        """Ends the running requests and waits until nothing uses the model; may be called twice."""
        self.stopping.set()
        while len(self._queue):
            coming = self._queue.pop()
            if not coming.done():
                coming.set_exception(stopped())
        await self._idle.wait()
        if self._threads:
            await asyncio.wait(self._threads)


def stopped() -> RefusedError:
    """What a request is told that the server's end cuts off."""
    return RefusedError(503, "the server ends: send the request again when it is back", code="server_stopping")
