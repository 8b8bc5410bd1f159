"""One request's answer: waits for its turn, runs, streams, and stops when the client goes away or falls behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hd_edge import Llama
from hd_edge.async_llama import ended
from hd_edge.engine.running import Arrival, RunningStream
from hd_edge.stats import GenerationStats, timings, usage

from .buffer import PATIENCE, Buffer, SlowReaderError
from .errors import Json, describe, error_response
from .events import Events, event
from .metrics import Requests
from .shape import Shape
from .turn import Turn, stopped
from .unread import hang_up

TOGETHER = 16  # chunks that are written at once, where so many wait


@dataclass(frozen=True)
class Job:
    """What a request asks for.

    Attributes:
        calls: For each choice, in order, what is to be called with the model; it gives a completion or its chunks.
        samples: Choices of one prompt: so many calls have the same.
        stream: Answer with server-sent events.
        usage: End a stream with a chunk of usage.
        tiers: Tell the tier of each chunk.
        progress: Tell in a stream how much of the prompt is read.
        shape: What the answer is sent as; None: as the calls give it.
        user: Who asks; None: whoever has this address.
    """

    calls: list[Callable[[Llama], Any]]
    samples: int
    stream: bool
    usage: bool
    tiers: bool
    progress: bool = False
    shape: Shape | None = None
    user: str | None = None


class Answer(Response):
    """Answers within the ASGI call, so that nothing is left locked or running however the client behaves.

    Args:
        turn: Whose turn it is.
        requests: Counts of the server.
        job: What is asked for.
        patience: Seconds that a generation waits for its reader.
    """

    def __init__(self, turn: Turn, requests: Requests, job: Job, patience: float = PATIENCE) -> None:
        super().__init__()
        self._turn, self._requests, self._job = turn, requests, job
        self._patience = patience
        self._total = GenerationStats()  # of all choices; a prompt's tokens count once
        self._begun = False  # the response has begun
        self._answered = False  # all is sent or about to be: a disconnect means nothing any more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Works until the answer is sent, the client is gone or too slow, or the server ends."""
        buffer = Buffer(self._patience)
        making = asyncio.create_task(self._make(buffer, self._job.user or (scope.get("client") or ("",))[0]))
        sending = asyncio.create_task(self._send(buffer, scope, receive, send))
        gone = asyncio.create_task(_until_gone(receive))
        ending = asyncio.create_task(self._turn.stopping.wait())
        try:
            done, _ = await asyncio.wait({sending, making, gone, ending}, return_when=asyncio.FIRST_COMPLETED)
            if making in done and not making.result():  # the reader fell behind
                sending.cancel()
                hang_up(scope)
            elif making in done:  # the turn is another's; what is left is sent while the client reads it
                awaited = {sending, gone}
                done, _ = await asyncio.wait(awaited, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    hang_up(scope)
        finally:
            buffer.close()
            left = not self._answered and not sending.done()
            for task in (making, sending, gone, ending):
                task.cancel()
            await ended(making, sending)
        if left:
            self._requests.cancelled += 1
        if ending.done() and not ending.cancelled() and not self._answered:
            await self._cut_off(scope, receive, send)
        elif not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _make(self, buffer: Buffer, user: str) -> bool:
        """Runs the model when it is this request's turn; the turn ends with the generation, not with the reading.

        Returns:
            False if the reader fell behind.
        """
        loop = asyncio.get_running_loop()
        over: asyncio.Future[BaseException | None] = loop.create_future()

        def deliver(arrival: Arrival) -> None:
            try:
                buffer.put(arrival)
            finally:  # or its turn would never end
                if arrival.chunk is None:
                    loop.call_soon_threadsafe(over.set_result, arrival.error)

        try:
            async with self._turn.seat(user) as llm:
                running = RunningStream(llm, lambda: self._chunks(llm, deliver), deliver)
                try:
                    running.start()
                    return not isinstance(await asyncio.shield(over), SlowReaderError)
                finally:  # the next request's turn comes when nothing can cancel it by mistake
                    await ended(asyncio.ensure_future(_stopped(running)))
        except Exception as error:
            buffer.put(Arrival(None, error=error))
            return True

    def _chunks(self, llm: Llama, deliver: Callable[[Arrival], None]) -> Iterator[dict[str, Any]]:
        """The chunks of all choices, one choice after the other; runs in a thread."""
        watcher = llm.on_prefill
        if self._job.progress:
            llm.on_prefill = lambda *read: deliver(Arrival(_progress(llm.stats.cached_tokens, *read)))
        try:
            yield from self._choices(llm)
        finally:
            llm.on_prefill = watcher

    def _choices(self, llm: Llama) -> Iterator[dict[str, Any]]:
        for index, call in enumerate(self._job.calls):
            made = call(llm)
            chunks = iter([made]) if isinstance(made, dict) else made
            try:
                for chunk in chunks:
                    for choice in chunk["choices"]:
                        choice["index"] = index
                    yield chunk
            finally:
                if close := getattr(chunks, "close", None):
                    close()
            self._total.add(llm.stats)
            if index % self._job.samples:
                self._total.prompt_tokens -= llm.stats.prompt_tokens
                self._total.cached_tokens -= llm.stats.cached_tokens

    async def _send(self, buffer: Buffer, scope: Scope, receive: Receive, send: Send) -> None:
        first = await buffer.get()
        if first.error is not None:
            self._answered = True
            self._requests.failed += 1
            await self._refusal(first.error)(scope, receive, send)
        elif self._job.stream:
            await self._events(buffer, first, send)
        else:
            await self._document(buffer, first, scope, receive, send)

    async def _document(self, buffer: Buffer, arrival: Arrival, scope: Scope, receive: Receive, send: Send) -> None:
        made: list[dict[str, Any]] = []
        while arrival.chunk is not None:
            made.append(arrival.chunk)
            buffer.taken()
            arrival = await buffer.get()
        self._answered = True
        if arrival.error is not None:
            self._requests.failed += 1
            await self._refusal(arrival.error)(scope, receive, send)
            return
        self._requests.done += 1
        whole, shape = self._joined(made), self._job.shape
        await Json(whole if shape is None else shape.whole(whole))(scope, receive, send)

    def _joined(self, made: list[dict[str, Any]]) -> dict[str, Any]:
        """One completion with the choices of all."""
        whole = made[0]
        if len(made) > 1:
            whole["choices"] = [choice for one in made for choice in one["choices"]]
            counts = [one["usage"] for one in made]
            prompt = sum(count["prompt_tokens"] for count in counts[:: self._job.samples])
            tokens = sum(count["completion_tokens"] for count in counts)
            whole["usage"] = usage(prompt, tokens, self._total)
            whole["timings"] = timings(self._total)
        return whole

    async def _events(self, buffer: Buffer, arrival: Arrival, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        self._begun = True
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        kept: dict[str, Any] = {}
        shape = self._job.shape
        events = Events()

        def told(arrival: Arrival) -> bytes:
            nonlocal kept
            chunk = arrival.chunk or {"choices": []}
            if chunk["choices"]:  # else the prompt is being read
                kept = kept or {key: chunk[key] for key in ("id", "object", "created", "model")}
                chunk.update(kept)  # one stream, one id
                if self._job.tiers:
                    chunk["choices"][0]["tier"] = arrival.tier
            return events.of(chunk) if shape is None else b"".join(map(event, shape.events(chunk)))

        while arrival.chunk is not None:
            data = [told(arrival)]
            while buffer.waits and len(data) < TOGETHER:
                data.append(told(await buffer.get()))
            if lines := b"".join(data):
                await _write(send, lines)
            buffer.taken(len(data))
            if buffer.waits:
                await asyncio.sleep(0)  # the loop tells of a client that left between two writes, not in a row of them
            arrival = await buffer.get()
        if arrival.error is not None:
            self._requests.failed += 1
            error = describe(arrival.error)[1]
            await _event(send, {"error": error} if shape is None else shape.failed(shape.told(error)))
        else:
            self._requests.done += 1
            total = self._total
            counts = usage(total.prompt_tokens, total.tokens - total.ends, total)
            last = [{**kept, "choices": [], "usage": counts}] if self._job.usage and kept else []
            for document in last if shape is None else shape.end(counts):
                await _event(send, document)
        self._answered = True
        await _event(send, None)

    def _refusal(self, error: BaseException) -> Json:
        status, what = describe(error)
        return Json({"error": what if self._job.shape is None else self._job.shape.told(what)}, status)

    async def _cut_off(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The server ends: tells the client so, whatever it had of its answer."""
        with contextlib.suppress(asyncio.TimeoutError, OSError):
            if not self._begun:
                await asyncio.wait_for(error_response(stopped())(scope, receive, send), 1)
            else:
                await asyncio.wait_for(_event(send, {"error": describe(stopped())[1]}), 1)
                await asyncio.wait_for(_event(send, None), 1)


async def _event(send: Send, document: Any) -> None:
    """A server-sent event; None ends the stream."""
    await _write(send, event(document), more=document is not None)


async def _write(send: Send, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def _stopped(running: RunningStream) -> None:
    """Nothing of it runs any more; where no thread can be made that waits for that, this looks again and again."""
    try:
        await asyncio.to_thread(running.stop)
    except (RuntimeError, MemoryError):
        while not running.stop(0):
            await asyncio.sleep(0.02)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _progress(cached: int, done: int, total: int, seconds: float) -> dict[str, Any]:
    """A chunk as llama-server sends it for ``return_progress``; ``processed`` counts the cached tokens, too."""
    read = {"total": cached + total, "cache": cached, "processed": cached + done, "time_ms": round(1000 * seconds)}
    return {"id": "", "object": "prompt.progress", "created": 0, "model": "", "choices": [], "prompt_progress": read}
