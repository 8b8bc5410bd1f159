"""Whose turn it is: one model, one request at a time, and an end that nothing outlives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from .errors import RefusedError
from .metrics import Requests

T = TypeVar("T")


class Turn:
    """The right to run the model, in the order of arrival.

    Args:
        requests: Counts of the server.

    Attributes:
        stopping: Set when the server ends: whoever has the turn gives it up.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._lock = asyncio.Lock()
        self._threads: set[asyncio.Future[Any]] = set()
        self.stopping = asyncio.Event()

    async def __aenter__(self) -> None:
        self._requests.waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._requests.waiting -= 1
        if self.stopping.is_set():
            self._lock.release()
            raise stopped()
        self._requests.running += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.running -= 1
        self._lock.release()

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
        """Ends the running request and waits until nothing uses the model; may be called twice."""
        self.stopping.set()
        async with self._lock:
            if self._threads:
                await asyncio.wait(self._threads)


def stopped() -> RefusedError:
    """What a request is told that the server's end cuts off."""
    return RefusedError(503, "the server ends: send the request again when it is back", code="server_stopping")
