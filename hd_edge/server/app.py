"""The application: routes of ``llama_cpp.server``, those of completions replaced by ones that draft and can stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from llama_cpp.server import app as base
from llama_cpp.server.model import LlamaProxy
from llama_cpp.server.settings import ServerSettings
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hd_edge import __version__
from hd_edge.llama import Llama

from .answer import Answer
from .metrics import Requests, metrics
from .requests import NOT_FOR_LLAMA, ChatRequest, CompletionRequest

KEPT = ("/v1/embeddings", "/extras/tokenize", "/extras/tokenize/count", "/extras/detokenize")  # llama_cpp.server's own
LOCAL = ("127.0.0.1", "localhost", "::1")
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}

router = APIRouter()
authenticated = [Depends(base.authenticate)]


class OneModel(LlamaProxy):
    """The proxy of ``llama_cpp.server`` over one loaded model, whatever name a client asks for."""

    def __init__(self, llm: Llama, name: str) -> None:
        self.llm, self.name = llm, name

    def __call__(self, model: str | None = None) -> Llama:  # noqa: ARG002
        """The model."""
        return self.llm

    def __iter__(self) -> Iterator[str]:
        yield self.name


def create_app(
    llm: Llama,
    name: str,
    *,
    api_key: str | None = None,
    host: str = "127.0.0.1",
    origins: Sequence[str] = (),
) -> FastAPI:
    """The ASGI application of one model; one application per process.

    Requests queue: one is answered at a time. A client that disconnects stops its generation.

    Args:
        llm: The model; closed when the application ends.
        name: Its name in ``/v1/models``.
        api_key: Clients must send it as bearer token; None: no key.
        host: Address it will listen at. At a local one, requests for another host name are refused, so that no web
            page can reach the model through a name of its own.
        origins: Web origins that may call it from a browser, beside its own page.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        llm.close()

    app = FastAPI(title="hd_edge", version=__version__, lifespan=lifespan)
    app.state.llm, app.state.name, app.state.requests = llm, name, Requests()
    base.set_server_settings(ServerSettings(api_key=api_key, interrupt_requests=False))
    base._llama_proxy = OneModel(llm, name)
    if host in LOCAL:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL, "[::1]"])
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"])
    app.include_router(router)
    app.router.routes.extend(route for route in base.router.routes if getattr(route, "path", None) in KEPT)
    return app


def _answer(request: Request, body: Any, call: Callable[..., Any]) -> Answer:
    def prepare(proxy: Any) -> tuple[Llama, Callable[[], Any]]:
        settings = body.model_dump(exclude=NOT_FOR_LLAMA)
        if limit := getattr(body, "max_completion_tokens", None):
            settings["max_tokens"] = limit
        llm = base.prepare_request_resources(body, proxy, body.model, settings)
        settings["model"] = body.model or request.app.state.name
        return llm, lambda: call(llm, **settings)

    return Answer(
        request.app.state.requests,
        prepare,
        stream=bool(body.stream),
        usage=body.wants_usage(),
        tiers=body.include_tiers,
    )


@router.post("/v1/chat/completions", dependencies=authenticated, tags=["OpenAI"])
async def chat_completions(request: Request, body: ChatRequest) -> Answer:
    """Answers a conversation."""
    return _answer(request, body, Llama.create_chat_completion)


@router.post("/v1/completions", dependencies=authenticated, tags=["OpenAI"])
async def completions(request: Request, body: CompletionRequest) -> Answer:
    """Continues a prompt."""
    if isinstance(body.prompt, list):
        body.prompt = body.prompt[0] if body.prompt else ""
    return _answer(request, body, Llama.create_completion)


@router.get("/v1/models", dependencies=authenticated, tags=["OpenAI"])
async def models(request: Request) -> dict[str, Any]:
    """The one model; does not wait for a running generation."""
    model = {"id": request.app.state.name, "object": "model", "created": 0, "owned_by": "hd_edge"}
    return {"object": "list", "data": [model]}


@router.get("/health", tags=["Server"])
async def health() -> dict[str, str]:
    """The model is loaded."""
    return {"status": "ok"}


@router.get("/metrics", dependencies=authenticated, tags=["Server"])
async def prometheus(request: Request) -> PlainTextResponse:
    """Counts since the start, as Prometheus text."""
    state = request.app.state
    return PlainTextResponse(metrics(state.llm.total_stats, state.requests), media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    """The built-in chat page."""
    return HTMLResponse(files("hd_edge").joinpath("web/index.html").read_text("utf-8"), headers=PAGE_HEADERS)
