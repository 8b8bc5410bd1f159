"""The chat page beside an API that answers what a test has written for it, as slowly as the test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from hd_edge.server import errors
from hd_edge.server.guard import Guard
from hd_edge.server.page import router


def chunk(text: str = "", tier: str = "target", *, finish: str | None = None, thoughts: str = "", **more: Any) -> dict:
    """A chunk as the server sends it."""
    delta = {name: said for name, said in (("content", text), ("reasoning_content", thoughts)) if said}
    return {"choices": [{"index": 0, "delta": delta, "tier": tier, "finish_reason": finish}], **more}


def timings(tokens: int, drafted: int = 0, accepted: int = 0) -> dict[str, Any]:
    return {
        "predicted_n": tokens,
        "predicted_per_second": 31.4,
        "draft_n": drafted,
        "draft_n_accepted": accepted,
        "prompt_n": 10,
        "cache_n": 0,
    }


def answer(*texts: str) -> list[dict]:
    """The chunks of a whole answer."""
    last = chunk(finish="stop", timings=timings(len(texts)))
    return [*(chunk(text) for text in texts), last]


class Scripted:
    """The application.

    Attributes:
        scripts: Chunks of the answers, one list after the other; the last one is said again and again. A chunk of
            ``HOLD`` waits; ``BREAK`` ends the connection.
        released: How many holds, from the first on, wait no more.
        refusals: Status and error object of the next requests; None: it is answered.
        asked: Bodies of all requests.
        left: Requests whose client went away before the end.
    """

    HOLD, BREAK = "hold", "break"

    def __init__(self, size: int = 4096, api_key: str | None = None) -> None:
        self.scripts: list[list[Any]] = [answer("Yes", ".")]
        self.refusals: list[tuple[int, dict] | None] = []
        self.asked: list[dict] = []
        self.left = 0
        self.released = self._held = 0
        self.size = size
        self.app = FastAPI()
        errors.install(self.app)
        self.app.include_router(router)
        self.app.add_middleware(Guard, api_key=api_key)
        self.app.add_api_route("/health", lambda: {"status": "ok"}, methods=["GET"])
        self.app.add_api_route("/v1/models", self._models, methods=["GET"])
        self.app.add_api_route("/extras/tokenize/count", self._count, methods=["POST"])
        self.app.add_api_route("/v1/chat/completions", self._chat, methods=["POST"])

    def says(self, *texts: str) -> None:
        """The next answers are these texts."""
        self.scripts = [answer(*texts)]

    async def _models(self) -> dict:
        return {"data": [{"id": "scripted", "meta": {"n_ctx": self.size}}]}

    async def _count(self, request: Request) -> dict:
        return {"count": len((await request.json())["input"].split())}

    async def _chat(self, request: Request) -> Response:
        self.asked.append(await request.json())
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            return JSONResponse({"error": refusal[1]}, status_code=refusal[0])
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        return StreamingResponse(self._events(script), media_type="text/event-stream")

    async def _events(self, script: list[Any]) -> AsyncIterator[str]:
        try:
            for one in script:
                if one == self.HOLD:
                    self._held += 1
                    number = self._held
                    while self.released < number:
                        await asyncio.sleep(0.01)
                elif one == self.BREAK:
                    return
                else:
                    yield f"data: {json.dumps(one)}\n\n"
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.left += 1
            raise
