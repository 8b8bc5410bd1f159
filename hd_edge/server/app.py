"""The application: OpenAI's routes, those of ``llama_cpp.server`` for tokens, metrics and the chat page."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from hd_edge import Engine, Llama, __version__

from . import errors, page
from .answer import Answer, Job
from .buffer import PATIENCE
from .calls import chat_job, completion_job
from .embeddings import embedding_job
from .guard import MOST_BYTES, Guard
from .head import HeadAsGet
from .kept import KeptResponses
from .metrics import Requests, company, metrics
from .requests import ChatRequest, CompletionRequest, DetokenizeRequest, EmbeddingRequest, TokenizeRequest
from .responses import ResponseShape, ResponsesRequest
from .turn import Turn

router = APIRouter()


def create_app(
    model: Llama | Engine,
    name: str,
    *,
    api_key: str | None = None,
    host: str = "127.0.0.1",
    origins: Sequence[str] = (),
    most_bytes: int = MOST_BYTES,
    patience: float = PATIENCE,
) -> FastAPI:
    """The ASGI application of one model.

    Requests queue; one is answered at a time, or as many side by side as an ``Engine`` has seats. A client that
    disconnects or reads too slowly stops its generation.

    Args:
        model: Closed when the application ends.
        name: Its name in ``/v1/models``.
        api_key: Clients must send it as bearer token; None: no key.
        host: Address it will listen at. At a local one, requests for another host name are refused, so that no web
            page can reach the model through a name of its own.
        origins: Web origins that may call it from a browser, beside its own page.
        most_bytes: Most bytes of a request's body.
        patience: Seconds that a generation waits, all in all, for a client that reads slower than it writes.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.turn.stop()
        model.close()

    # /openapi.json stays; the framework's pages at /docs and /redoc load scripts of another site
    app = FastAPI(title="hd_edge", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    state = app.state
    seats = [model] if isinstance(model, Llama) else model.seats
    state.model, state.llm, state.name = model, seats[0], name
    state.requests, state.patience, state.created = Requests(), patience, int(time.time())
    state.turn = Turn(state.requests, seats)
    state.kept = KeptResponses()
    errors.install(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Guard, host=host, api_key=api_key, origins=origins, most_bytes=most_bytes)
    if origins:  # outside the guard: browsers ask without a key
        app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"])
    app.include_router(router)
    app.include_router(page.router)
    return app


def _answer(state: Any, job: Job) -> Answer:
    return Answer(state.turn, state.requests, job, state.patience)


@router.post("/v1/chat/completions", tags=["OpenAI"])
async def chat_completions(request: Request, body: ChatRequest) -> Answer:
    """Answers a conversation."""
    state = request.app.state
    return _answer(state, chat_job(body, state.name))


@router.post("/v1/responses", tags=["OpenAI"])
async def responses(request: Request, body: ResponsesRequest) -> Answer:
    """Answers a conversation, in the words of OpenAI's newer API; it may go on from a response before."""
    state = request.app.state
    before = body.previous_response_id
    items = body.items(state.kept.find(before, "previous_response_id").items if before is not None else [])
    job = chat_job(body.chat(items), state.name)

    def keep(response: dict[str, Any]) -> None:
        if body.store:
            state.kept.keep(response, items)

    return _answer(state, replace(job, shape=ResponseShape(body, state.name, body.names(items), keep)))


@router.get("/v1/responses/{name}", tags=["OpenAI"])
async def response(request: Request, name: str) -> Response:
    """A response that was asked for with ``store``."""
    return Response(request.app.state.kept.find(name).document, media_type="application/json")


@router.delete("/v1/responses/{name}", tags=["OpenAI"])
async def delete_response(request: Request, name: str) -> dict[str, Any]:
    """Forgets a response."""
    request.app.state.kept.delete(name)
    return {"id": name, "object": "response", "deleted": True}


@router.post("/v1/responses/{path:path}", include_in_schema=False)
async def nothing(request: Request, path: str) -> None:  # noqa: ARG001
    """What OpenAI's API has below a response and is not offered here: not found, and no mere mistake of the method."""
    raise HTTPException(404)


@router.post("/v1/engines/copilot-codex/completions", include_in_schema=False)  # as llama_cpp.server has it
@router.post("/v1/completions", tags=["OpenAI"])
async def completions(request: Request, body: CompletionRequest) -> Answer:
    """Continues prompts."""
    state = request.app.state
    return _answer(state, completion_job(body, state.name))


@router.post("/v1/embeddings", tags=["OpenAI"])
async def embeddings(request: Request, body: EmbeddingRequest) -> Answer:
    """Vectors of texts, for models that were loaded with ``embedding=True``."""
    state = request.app.state
    if not state.llm.context_params.embeddings:
        msg = f"{state.name} was not loaded for embeddings: `hd-edge serve --embedding` or Llama(embedding=True) does"
        raise errors.RefusedError(400, msg, code="no_embeddings")
    return _answer(state, embedding_job(body, state.name))


@router.post("/extras/tokenize", tags=["Tokens"])
async def tokenize(request: Request, body: TokenizeRequest) -> dict[str, list[int]]:
    """Token ids of a text."""
    return {"tokens": await _tokens(request.app.state, body.input)}


@router.post("/extras/tokenize/count", tags=["Tokens"])
async def count_tokens(request: Request, body: TokenizeRequest) -> dict[str, int]:
    """How many tokens a text has."""
    return {"count": len(await _tokens(request.app.state, body.input))}


@router.post("/extras/detokenize", tags=["Tokens"])
async def detokenize(request: Request, body: DetokenizeRequest) -> dict[str, str]:
    """Text of token ids."""
    state = request.app.state
    text: bytes = await state.turn.beside(lambda: state.llm.detokenize(body.tokens))
    return {"text": text.decode("utf-8", "replace")}


async def _tokens(state: Any, text: str) -> list[int]:
    data = text.encode("utf-8")
    state.llm.check_size(len(data))  # as for a prompt: tokenizing more takes seconds, and answers wait
    tokens: list[int] = await state.turn.beside(lambda: state.llm.tokenize(data, special=True))
    return tokens


@router.get("/v1/models", tags=["OpenAI"])
async def models(request: Request) -> dict[str, Any]:
    """The one model; does not wait for a running generation."""
    return {"object": "list", "data": [_model(request.app.state)]}


@router.get("/v1/models/{name:path}", tags=["OpenAI"])
async def model(request: Request, name: str) -> dict[str, Any]:
    """The one model, by its name."""
    known = _model(request.app.state)
    if name != known["id"]:
        msg = f"the model {name!r} is not served here, {known['id']!r} is"
        raise errors.RefusedError(404, msg, code="model_not_found", param="model")
    return known


def _model(state: Any) -> dict[str, Any]:
    window = {"n_ctx": state.llm.n_ctx()}  # where llama-server tells what it knows of its model
    return {"id": state.name, "object": "model", "created": state.created, "owned_by": "hd_edge", "meta": window}


@router.get("/health", tags=["Server"])
async def health(request: Request, response: Response) -> dict[str, str]:
    """The model is loaded and answers; 503 where an engine has ended, and only another start helps."""
    model = request.app.state.model
    if isinstance(model, Engine) and not model.seats[0].answers:
        response.status_code = 503
        return {"status": "ended"}
    return {"status": "ok"}


@router.get("/metrics", tags=["Server"])
async def prometheus(request: Request) -> PlainTextResponse:
    """Counts since the start, as Prometheus text."""
    state = request.app.state
    text = metrics(state.model.total_stats, state.requests)
    if isinstance(state.model, Engine):
        text += company(state.model)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
