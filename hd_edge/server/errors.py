"""OpenAI's error object for everything that goes wrong: ``{"error": {message, type, param, code}}``."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from hd_edge.errors import NO_MEMORY, BusyError, ContextFullError, HDEdgeError

from .shown import shown

MOST_SAID = 4  # mistakes in one message
MOST_PATH = 100  # characters of a path in one

BOUNDS = {  # pydantic's mistakes: the bound's name, and what happened and what to do
    "greater_than_equal": ("ge", "{got} is below {bound}: send {bound} or more"),
    "less_than_equal": ("le", "{got} is above {bound}: send {bound} or less"),
    "greater_than": ("gt", "{got} is not above {bound}: send more"),
}

NUMBERS = methodcaller("item")  # of numpy, as in logprobs
LINE_ENDS = re.compile("[\x85\u2028\u2029]")  # others are escaped anyhow
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=NUMBERS)

log = logging.getLogger("hd_edge")


class RefusedError(HDEdgeError):
    """A request that is answered with an HTTP status and no generation.

    Args:
        status: HTTP status.
        message: What happened, and what to do.
        code: OpenAI's short name of it, for programs.
        param: The field that is wrong.
    """

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class Json(JSONResponse):
    """JSON whose texts may hold half a surrogate pair, as a client may have sent one."""

    def render(self, content: Any) -> bytes:
        """As ``dumps`` below."""
        return dumps(content)


def dumps(content: Any) -> bytes:
    """JSON in UTF-8; what UTF-8 cannot hold, and what Python's clients take for ends of lines, is escaped."""
    return in_one_line(ENCODER.encode(content))


def in_one_line(text: str) -> bytes:
    """JSON in UTF-8 that no reader of lines cuts: an event of a stream is a line."""
    if not text.isascii():
        text = LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode("utf-8", "backslashreplace")


def describe(error: BaseException) -> tuple[int, dict[str, Any]]:
    """HTTP status and error object: 4xx for what the request got wrong, 5xx for the rest."""
    status, code, param, message = 500, None, None, str(error)
    if isinstance(error, UnicodeEncodeError):
        half = error.object[error.start : error.start + 1]
        message = f"a text has half a surrogate pair, {half!r} at {error.start}: send whole characters"
    if isinstance(error, RefusedError):
        status, code, param = error.status, error.code, error.param
    elif isinstance(error, BusyError):
        status, code = 429, "queue_full"
    elif isinstance(error, ContextFullError):
        status, code = 400, "context_length_exceeded"
    elif isinstance(error, (ValueError, RecursionError)):  # also ConfigError, TokenError, UnicodeError
        status, param = 400, getattr(error, "param", None)
    elif isinstance(error, MemoryError):
        log.error("a request failed: no memory is left")
        message = NO_MEMORY
    else:
        log.error("a request failed", exc_info=error)
        message = f"{type(error).__name__}: {error}"
    kind = "invalid_request_error" if status < 500 else "internal_server_error"
    kind = "rate_limit_error" if status == 429 else kind
    return status, {"message": message, "type": kind, "param": param, "code": code}


def error_response(error: BaseException) -> Json:
    """The error as a response."""
    status, content = describe(error)
    return Json({"error": content}, status_code=status)


def install(app: FastAPI) -> None:
    """Makes every error of the application's routes one of these."""

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> Json:
        return error_response(invalid(error.errors()))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Json:
        response = error_response(RefusedError(error.status_code, _why(request, error)))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(HDEdgeError)
    @app.exception_handler(ValueError)
    @app.exception_handler(RecursionError)
    @app.exception_handler(Exception)
    async def other(_: Request, error: Exception) -> Json:
        return error_response(error)


def _why(request: Request, error: HTTPException) -> str:
    """What the framework refused: a path or a method that no route has, or a body that is no JSON it can read."""
    asked = f"{request.method} {request.url.path[:MOST_PATH]}"
    if error.status_code == 404:
        return f"there is no {asked} here: OpenAI's routes begin with /v1, as /v1/chat/completions"
    if error.status_code == 405:
        return f"there is no {asked} here: this path takes {(error.headers or {}).get('Allow', 'another method')}"
    cause = error.__cause__
    if isinstance(cause, UnicodeDecodeError):
        return f"the body is not UTF-8: byte {cause.object[cause.start]:#04x} at {cause.start}"
    if isinstance(cause, RecursionError):
        return "the body has too many lists or objects in each other: send fewer"
    if isinstance(cause, ValueError):
        return "the body has a number of too many digits: send a shorter one"
    return str(error.detail)


def invalid(errors: Sequence[Any], names: Callable[[str], str] = str) -> RefusedError:
    """What is wrong with a body, and the first field that is, as OpenAI's API names it: ``messages[0].role``.

    Args:
        errors: Of pydantic.
        names: The client's name of a field.
    """
    said, param = [], None
    for error in errors[:MOST_SAID]:
        place = "" if error["type"] == "json_invalid" else _place(error["loc"][1:])
        place = names(place or str(error.get("ctx", {}).get("param", "")))
        param = param or place or None
        said.append(f"{place or 'body'}: {_bound(error) or error['msg']}")
    if len(errors) > MOST_SAID:
        said.append(f"and {len(errors) - MOST_SAID} more")
    return RefusedError(400, "; ".join(said), param=param)


def _bound(error: Any) -> str:
    """A number out of bounds, in the words of the values; empty: it is another mistake."""
    if error["type"] not in BOUNDS or "input" not in error:
        return ""
    name, words = BOUNDS[error["type"]]
    bound = error["ctx"][name]
    return words.format(got=shown(error["input"]), bound=int(bound) if bound == int(bound) else bound)


def _place(parts: Sequence[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")
