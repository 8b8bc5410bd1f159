"""The chat page: the files of ``hd_edge/server/web`` as they are, under a policy that lets nothing else run or load."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

START = "index.html"
FOLDER = "/web/"  # of every file but the first
TYPES = {  # not mimetypes: on Windows the registry says what a .js is, and no browser runs text/plain
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    # texts become elements through DOMPurify alone
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, and asked for again: an update must not mix with old files
}


@dataclass(frozen=True)
class File:
    """A file of the page.

    Attributes:
        data: What it holds.
        kind: Its content type.
        tag: Changes with what it holds.
    """

    data: bytes
    kind: str
    tag: str


@cache
def page_files() -> dict[str, File]:
    """Every file of the page by its name, such as ``js/app.js``."""
    folder = Path(__file__).parent / "web"
    return {path.relative_to(folder).as_posix(): _file(path) for path in folder.rglob("*") if path.suffix in TYPES}


def _file(path: Path) -> File:
    data = path.read_bytes()
    return File(data, TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:32]}"')


router = APIRouter(include_in_schema=False)


@router.head("/")
@router.get("/")
async def start(request: Request) -> Response:
    """The page."""
    return _response(request, START)


@router.head(FOLDER + "{name:path}")
@router.get(FOLDER + "{name:path}")
async def part(request: Request, name: str) -> Response:
    """A file that the page asks for."""
    return _response(request, name)


def _response(request: Request, name: str) -> Response:
    file = page_files().get(name)
    if file is None:
        raise HTTPException(404, f"the chat page has no file {name!r}")
    headers = {**HEADERS, "ETag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.kind, headers=headers)
