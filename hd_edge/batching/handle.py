"""Handle: one request to an ``Engine``: streams, can be awaited, and cancelled."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hd_edge.engine.running import Arrival, RunningStream
from hd_edge.errors import ClosedError, ConfigError

if TYPE_CHECKING:
    from .seat import Seat


class Handle:
    """What ``Engine.submit`` gives.

    ``result()`` or ``await`` gives the whole answer; a handle of a stream is an iterator, and an asynchronous one, over
    its chunks. Any thread may cancel it.

    Args:
        begin: Makes the answer, or its chunks, on a seat.
        stream: Whether there are chunks.

    Attributes:
        begun: Whether a thread answers, or did.
    """

    def __init__(self, begin: Callable[[Seat], Any], *, stream: bool) -> None:
        self._begin, self._stream = begin, stream
        self._future: Future[Any] = Future()
        self._future.add_done_callback(self._settled)
        self._chunks: deque[Any] = deque()
        self._news = threading.Condition()
        self._watchers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._seat: Seat | None = None
        self.begun = False
        self._last: Any = None
        self._pid = os.getpid()

    # -- for the engine ------------------------------------------------------------------------------------------

    def run(self, seat: Seat, leave: Callable[[Seat], None]) -> None:
        """Answers on this seat, in a thread of its own; then leaves it.

        Raises:
            RuntimeError, MemoryError: There is no thread for it. Then, and where a signal's handler raises before it
                has ``begun``, the seat is not left.
        """
        self._seat = seat
        seat.flag.abandoned = self._future.cancelled()

        def chunks() -> Iterator[Any]:
            made = self._begin(seat)
            return iter([made]) if isinstance(made, dict) else iter(made)

        def deliver(arrival: Arrival) -> None:
            if arrival.chunk is None:
                self._seat = None
                leave(seat)
                self.finish(arrival.error)
                return
            self._last = arrival.chunk
            if self._stream:
                with self._news:
                    self._chunks.append(arrival.chunk)
                self._tell()

        running = RunningStream(seat, chunks, deliver)
        try:
            running.start()
        finally:
            self.begun = running.begun
            if not self.begun:
                self._seat = None

    def finish(self, error: BaseException | None = None) -> None:
        """There is nothing more to come; the first call tells how it ended."""
        with suppress(InvalidStateError):  # it was told before, or cancelled
            if error is not None:
                self._future.set_exception(error)
            else:
                self._future.set_result(None if self._stream else self._last)

    def on_cancel(self, drop: Callable[[], object]) -> None:
        """Called if it is cancelled while it waits."""
        self._future.add_done_callback(lambda future: drop() if future.cancelled() else None)

    def _settled(self, future: Future[Any]) -> None:
        if future.cancelled() and (seat := self._seat) is not None:
            seat.flag.abandon()
        self._tell()

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()
            for loop, event in self._watchers:
                with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                    loop.call_soon_threadsafe(event.set)

    # -- for whoever asked ---------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._future.done()

    def cancel(self) -> bool:
        """Ends it before the next forward, or takes it out of the queue; False if it had ended already."""
        return self._future.cancel()

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """The whole answer, as ``Llama.create_completion`` or ``create_chat_completion`` gives it.

        Args:
            timeout: Most seconds to wait; None: until it has ended.

        Raises:
            TimeoutError: It has not ended; it goes on.
            CancelledError: It was cancelled.
            HDEdgeError: As those methods; or it is a stream, or this is a forked child.
        """
        self._check(stream=False)
        answer: dict[str, Any] = self._future.result(timeout)
        return answer

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        self._check(stream=False)
        return asyncio.wrap_future(self._future).__await__()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._check(stream=True)
        while True:
            with self._news:
                while not self._chunks and not self._future.done():
                    self._news.wait()
                if not self._chunks:
                    break
                chunk = self._chunks.popleft()
            yield chunk
        self._raise()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        self._check(stream=True)
        event = asyncio.Event()
        watcher = (asyncio.get_running_loop(), event)
        with self._news:
            self._watchers.append(watcher)
        try:
            while True:
                event.clear()
                with self._news:
                    chunk = self._chunks.popleft() if self._chunks else None
                    over = chunk is None and self._future.done()  # asked later, a last chunk could have come between
                if chunk is not None:
                    yield chunk
                elif over:
                    break
                else:
                    await event.wait()
        finally:
            with self._news:
                self._watchers.remove(watcher)
        self._raise()

    def _raise(self) -> None:
        if not self._future.cancelled():
            self._future.result()

    def _check(self, *, stream: bool) -> None:
        if self._stream != stream:
            have = "a stream: iterate over it" if self._stream else "no stream: take its result(), or await it"
            msg = f"this request is {have}; submit(..., stream=...) chooses"
            raise ConfigError(msg)
        if self._pid != os.getpid() and not self._future.done():
            msg = f"this request is answered in process {self._pid}, not in its forked child {os.getpid()}: ask there"
            raise ClosedError(msg)
