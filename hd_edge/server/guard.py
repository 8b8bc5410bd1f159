"""What is checked before a request is read: host, origin, key, content type, size.

Our own checks, whatever the framework's version does: a web page of another origin can send a POST without a content
type and without asking first, and no route should see a body that is larger than the limit.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import RefusedError, error_response
from .page import FOLDER

LOCAL = ("127.0.0.1", "localhost", "::1")
OPEN = ("/", "/health")  # without a key, as the files of the page
MOST_BYTES = 4 * 1024 * 1024  # of a body


def is_local(host: str) -> bool:
    """True for an address, or a name of addresses, that only this machine reaches, or that nobody knows."""
    return bool(host) and all(map(_loops, addresses(host)))


def addresses(host: str) -> list[str]:
    """Those that a host stands for where it is listened at, however it is spelled; none if nobody knows it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]


def _loops(address: str) -> bool:
    known = ipaddress.ip_address(address)
    return (getattr(known, "ipv4_mapped", None) or known).is_loopback


class Guard:
    """ASGI middleware that refuses with OpenAI's error object.

    Args:
        app: What is guarded.
        host: Address the server listens at. At a local one, requests for another host name are refused, so that no web
            page can reach the model through a name of its own.
        api_key: Asked for as bearer token; None: no key.
        origins: Web origins that may call, beside the server's own page; ``*``: all.
        most_bytes: Of a body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        api_key: str | None = None,
        origins: Sequence[str] = (),
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._app, self._api_key, self._most_bytes = app, api_key, most_bytes
        self._hosts = {*LOCAL, host.lower().removesuffix("."), *addresses(host)} if is_local(host) else None
        self._origins = set(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
            if scope["method"] == "POST":
                receive = await self._whole(scope, receive)
        except RefusedError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        # Every browser names a host, so what names none (HTTP/1.0 probes) is no web page under a name of its own.
        hosts = self._hosts if "host" in headers else None
        if hosts is not None and _site(f"//{host}")[1].removesuffix(".") not in hosts:
            msg = f"the host name is {host!r}, this server is one of {', '.join(sorted(hosts))}: use one of them"
            raise RefusedError(400, msg, code="wrong_host")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self._may_call(origin, host):
            msg = f"the web origin {origin!r} may not call this server: --cors {origin} allows it"
            raise RefusedError(403, msg, code="wrong_origin")
        if self._api_key is not None and not _open(scope["path"]):
            scheme, _, key = headers.get("authorization", "").partition(" ")
            sent, right = key.strip(" \t").encode("latin-1"), self._api_key.encode("utf-8", "surrogateescape")
            if scheme.lower() != "bearer" or not hmac.compare_digest(sent, right):
                msg = "the API key is missing or wrong: send 'Authorization: Bearer KEY'"
                raise RefusedError(401, msg, code="invalid_api_key")
        kinds = list(dict.fromkeys(headers.getlist("content-type")))
        if scope["method"] == "POST" and len(kinds) > 1:
            msg = f"the request has Content-Type headers that differ, {' and '.join(map(repr, kinds[:2]))}: send one"
            raise RefusedError(400, msg, code="invalid_http")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind != "application/json":
            msg = f"the content type is {kind!r}: send 'Content-Type: application/json'"
            raise RefusedError(415, msg, code="wrong_content_type")

    def _may_call(self, origin: str | None, host: str) -> bool:
        if origin is None or "*" in self._origins or origin in self._origins:
            return True
        return _site(origin)[0] == host.lower() != ""

    async def _whole(self, scope: Scope, receive: Receive) -> Receive:
        """Reads the body as long as it is within the limit; returns what gives it to the application."""
        length = Headers(scope=scope).get("content-length", "0")
        self._fits(int(length[:19]) if length.isdecimal() and length.isascii() else 0)
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
            self._fits(len(body))
        first: list[Message] = (
            [message] if more else [{"type": "http.request", "body": bytes(body), "more_body": False}]
        )

        async def replay() -> Message:
            return first.pop() if first else await receive()

        return replay

    def _fits(self, size: int) -> None:
        if size > self._most_bytes:
            msg = f"the body has {size} bytes or more, at most {self._most_bytes} are read: send less"
            raise RefusedError(413, msg, code="body_too_large")


def _open(path: str) -> bool:
    return path in OPEN or path.startswith(FOLDER)


def _site(url: str) -> tuple[str, str]:
    """Host of an origin with and without its port, in small letters; empty for what is none, or has more than these."""
    try:
        parts = urlsplit(url)
        if parts.port == 0 or "@" in url or "\\" in url or parts.path or parts.query or parts.fragment:
            return "", ""
        return parts.netloc.lower(), (parts.hostname or "").lower()
    except ValueError:
        return "", ""
