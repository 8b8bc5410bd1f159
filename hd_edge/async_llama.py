"""``AsyncLlama``: a model for asyncio, one request at a time; a task that is cancelled stops its generation."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

from hd_edge import Llama

from .engine.running import Arrival, RunningStream
from .errors import OTHER_USE, ConfigError, DecodeError

if TYPE_CHECKING:
    from types import AsyncGeneratorType

    from typing_extensions import Self

AHEAD = 64  # chunks that a generation is ahead of its reader, at most
LOOK = 1.0  # seconds between two looks at an event loop that reads nothing
POLL = 0.01  # seconds between two looks whether a generator has ended


class AsyncLlama:
    """The calls of ``Llama`` as coroutines; a stream is an asynchronous iterator.

    Calls wait for each other. Where a task is cancelled, or a stream closed (``aclose``), the generation ends within
    one forward on the CPU, and the next call begins after it. A task that calls again before it has read a stream to
    its end would wait for itself: that ends the stream, as with ``Llama``. One event loop at a time: the next one may
    use the model once no call of the one before runs or waits.

    Args:
        model: A loaded ``Llama``, or what ``Llama`` takes as ``model_path``.
        **settings: As ``Llama`` takes them.

    Attributes:
        llm: The model.

    Raises:
        HDEdgeError: As ``Llama``, and in the calls as its methods; a ``ConfigError`` where calls of another event loop
            run or wait.
    """

    def __init__(self, model: Llama | str | PathLike[str], **settings: Any) -> None:
        self.llm = model if isinstance(model, Llama) else Llama(model, **settings)
        self._turn = LoopTurn()
        self._resting: Resting | None = None

    async def create_chat_completion(self, *args: Any, stream: bool = False, **kwargs: Any) -> Any:
        """As ``Llama.create_chat_completion``; with ``stream=True`` an asynchronous iterator of chunks."""
        return await self._call(self.llm.create_chat_completion, *args, stream=stream, **kwargs)

    async def create_completion(self, *args: Any, stream: bool = False, **kwargs: Any) -> Any:
        """As ``Llama.create_completion``; with ``stream=True`` an asynchronous iterator of chunks."""
        return await self._call(self.llm.create_completion, *args, stream=stream, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """As ``Llama.generate``, without ``send``."""
        return self._stream(partial(self.llm.generate, *args, **kwargs))

    async def create_embedding(self, *args: Any, **kwargs: Any) -> Any:
        """As ``Llama.create_embedding``."""
        return await self._call(self.llm.create_embedding, *args, **kwargs)

    async def close(self) -> None:
        """As ``Llama.close``."""
        await asyncio.to_thread(self.llm.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        begin = partial(call, *args, **kwargs)
        if kwargs.get("stream"):
            return self._stream(begin)
        async with contextlib.aclosing(self._stream(lambda: iter([begin()]))) as results:
            return await anext(results)

    async def _stream(self, begin: Callable[[], Iterator[Any]]) -> AsyncGenerator[Any, None]:
        """What a stream gives; it rests while its reader has a chunk, and ends if that task calls again."""
        if (other := self._resting) is not None and other.task is asyncio.current_task():
            other.ended = True
            await other.ending.wait()
        chunks = self._running(begin)
        ending = Ending(chunks)
        try:
            async for chunk in chunks:
                resting = self._resting = Resting(ending, asyncio.current_task())
                try:
                    yield chunk
                finally:
                    if self._resting is resting:
                        self._resting = None
                if resting.ended:
                    raise DecodeError(OTHER_USE)
        finally:
            await ending.wait()

    async def _running(self, begin: Callable[[], Iterator[Any]]) -> AsyncGenerator[Any, None]:
        """What a stream gives, in a thread of its own that ends with this generator."""
        loop, room, closed = asyncio.get_running_loop(), threading.Semaphore(AHEAD), threading.Event()
        arrivals: asyncio.Queue[Arrival] = asyncio.Queue()

        def deliver(arrival: Arrival) -> None:
            while not room.acquire(timeout=LOOK):
                if loop.is_closed():  # without an end of its generators: nobody will ever read
                    break
            if not closed.is_set():
                try:
                    loop.call_soon_threadsafe(arrivals.put_nowait, arrival)
                except RuntimeError:  # it is closed
                    running.stop(0.0)
                else:
                    return
            room.release()  # nobody reads any more: whoever comes next finds room, too

        async with self._turn:
            running = RunningStream(self.llm, begin, deliver)
            try:
                running.start()
                while (arrival := await arrivals.get()).chunk is not None:
                    room.release()
                    yield arrival.chunk
                if arrival.error is not None:
                    raise arrival.error
            finally:
                closed.set()
                room.release()
                await ended(asyncio.ensure_future(asyncio.to_thread(running.stop)))


class Ending:
    """Closes a generator once, whoever asks: its reader's next call, and asyncio where the reader has dropped it."""

    def __init__(self, chunks: AsyncGenerator[Any, None]) -> None:
        self._chunks = chunks
        self._closing: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Until the generator has ended."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._chunks.aclose())
        await ended(self._closing)
        try:
            self._closing.result()
        except RuntimeError:
            if not self._runs():
                raise
            while self._runs():  # an event loop that ends closes all generators itself, side by side
                await asyncio.sleep(POLL)

    def _runs(self) -> bool:
        return cast("AsyncGeneratorType[Any, None]", self._chunks).ag_running


@dataclass
class Resting:
    """A stream whose reader has a chunk.

    Attributes:
        ending: Of what holds the turn.
        task: Who reads.
        ended: By another call of that task.
    """

    ending: Ending
    task: asyncio.Task[Any] | None
    ended: bool = False


class LoopTurn:
    """A lock for the tasks of one event loop at a time: asyncio's own fails, or never wakes, where there are two."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        self._users = 0  # tasks of that loop that have the lock or wait for it

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._loop is not loop:
                if self._users and self._loop is not None and not self._loop.is_closed():
                    msg = (
                        f"this AsyncLlama has {self._users} calls in another event loop, and serves one at a time: "
                        "wait for them, or hand the call to that loop (asyncio.run_coroutine_threadsafe)"
                    )
                    raise ConfigError(msg)
                self._loop, self._lock, self._users = loop, asyncio.Lock(), 0
            self._users += 1
        try:
            await self._lock.acquire()
        except BaseException:
            self._leave(loop)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._leave(asyncio.get_running_loop())

    def locked(self) -> bool:
        """Whether a task has it."""
        return self._lock.locked()

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._guard:
            if self._loop is loop:
                self._users -= 1


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Waits until all have ended, also while this task itself is cancelled."""
    while not all(task.done() for task in tasks):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)  # cancelled, it leaves them alone
