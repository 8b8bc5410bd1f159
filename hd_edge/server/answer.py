"""One request's answer: waits for its turn, runs, streams, and stops when the client goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from llama_cpp.server import app as base
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from hd_edge.engine.running import Arrival, RunningStream
from hd_edge.errors import ContextFullError
from hd_edge.llama import Llama
from hd_edge.model.completion import prompt_details, token_details

from .metrics import Requests

Prepare = Callable[[Any], tuple[Llama, Callable[[], Any]]]  # proxy -> model, call


class Answer(Response):
    """Answers within the ASGI call, so that nothing is left locked or running however the client behaves.

    Args:
        requests: Counts of the server.
        prepare: Makes the call of the model once it is this request's turn.
        stream: Answer with server-sent events.
        usage: End a stream with a chunk of usage.
        tiers: Tell the tier of each chunk.
    """

    def __init__(self, requests: Requests, prepare: Prepare, *, stream: bool, usage: bool, tiers: bool) -> None:
        super().__init__()
        self._requests, self._prepare, self._stream = requests, prepare, stream
        self._usage, self._tiers = usage, tiers
        self._answered = False  # all is sent or about to be: a disconnect means nothing any more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Works until the answer is sent or the client is gone."""
        work = asyncio.create_task(self._work(scope, receive, send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not self._answered and not work.done():
                self._requests.cancelled += 1
                work.cancel()
            await asyncio.wait({work})
        finally:
            gone.cancel()
            if not work.done():  # the server ends
                work.cancel()
                await asyncio.wait({work})
        if not work.cancelled() and (error := work.exception()) is not None:
            raise error

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests.waiting += 1
        try:
            turn = contextlib.asynccontextmanager(base.get_llama_proxy)()
            proxy = await turn.__aenter__()
        finally:
            self._requests.waiting -= 1
        self._requests.running += 1
        try:
            await self._run(proxy, scope, receive, send)
        finally:
            self._requests.running -= 1
            await turn.__aexit__(None, None, None)

    async def _run(self, proxy: Any, scope: Scope, receive: Receive, send: Send) -> None:
        loop, arrivals = asyncio.get_running_loop(), asyncio.Queue[Arrival]()
        try:
            llm, call = self._prepare(proxy)
        except ValueError as error:  # llama_cpp's own, such as a grammar that does not parse
            await self._fail(error, scope, receive, send)
            return

        def begin() -> Iterator[dict[str, Any]]:
            made = call()
            return iter([made]) if isinstance(made, dict) else made

        def deliver(arrival: Arrival) -> None:
            loop.call_soon_threadsafe(arrivals.put_nowait, arrival)

        running = RunningStream(llm, begin, deliver)
        try:
            first = await arrivals.get()
            if first.error is not None:
                await self._fail(first.error, scope, receive, send)
            elif self._stream:
                await self._events(llm, first, arrivals, send)
            else:
                self._answered = True
                self._requests.done += 1
                await JSONResponse(first.chunk)(scope, receive, send)
        finally:
            stopping = asyncio.ensure_future(asyncio.to_thread(running.stop))
            while not stopping.done():  # the next request's turn comes when nothing can cancel it by mistake
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(stopping)

    async def _fail(self, error: BaseException, scope: Scope, receive: Receive, send: Send) -> None:
        self._answered = True
        self._requests.failed += 1
        await error_response(error)(scope, receive, send)

    async def _events(self, llm: Llama, arrival: Arrival, arrivals: asyncio.Queue[Arrival], send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def event(document: Any, more: bool = True) -> None:
            data = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
            await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": more})

        last: dict[str, Any] = {}
        while arrival.chunk is not None:
            last = arrival.chunk
            if self._tiers:
                last["choices"][0]["tier"] = arrival.tier
            await event(last)
            arrival = await arrivals.get()
        if arrival.error is not None:
            self._requests.failed += 1
            await event({"error": _openai_error(arrival.error)})
        else:
            self._requests.done += 1
            if self._usage and last:
                kept = {key: last[key] for key in ("id", "object", "created", "model")}
                await event({**kept, "choices": [], "usage": _usage(llm)})
        self._answered = True
        await event("[DONE]", more=False)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _usage(llm: Llama) -> dict[str, Any]:
    """Usage of the last generation; the end-of-answer token counts as generated."""
    prompt, tokens = llm.stats.prompt_tokens, llm.stats.tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        "total_tokens": prompt + tokens,
        "prompt_tokens_details": prompt_details(llm.stats),
        "completion_tokens_details": token_details(llm.stats),
    }


def _openai_error(error: BaseException) -> dict[str, Any]:
    mine = isinstance(error, ValueError)  # also ConfigError, ContextFullError, TokenError
    code = "context_length_exceeded" if isinstance(error, ContextFullError) else None
    kind = "invalid_request_error" if mine else "internal_server_error"
    return {"message": str(error), "type": kind, "param": None, "code": code}


def error_response(error: BaseException) -> JSONResponse:
    """OpenAI's error body: 400 for what the request got wrong, 500 for the rest."""
    content = _openai_error(error)
    return JSONResponse({"error": content}, status_code=400 if content["type"] == "invalid_request_error" else 500)
