"""Runs the application until a signal ends it: the generation first, then the connections, then the model."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from hd_edge.errors import ConfigError

from .protocol import Protocol

BACKLOG = 2048  # uvicorn's
GRACE = 2  # seconds for clients to take what was sent to them


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; who connects before the server runs waits.

    Raises:
        ConfigError: It cannot listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        host.encode("idna")  # or create_server would leave a socket open
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        msg = f"cannot listen at {host!r}, port {port}: {why}; choose another --host or --port"
        raise ConfigError(msg) from error


class Server(uvicorn.Server):
    """Tells running requests that the server ends, where uvicorn would wait for them or tear them.

    Args:
        app: What is served.
        host: Shown in the address.
        listening: The socket.
        ready: Called with the address once requests are taken and signals are heeded.
    """

    def __init__(self, app: FastAPI, host: str, listening: socket.socket, ready: Callable[[str], None]) -> None:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE, http=Protocol, ws="none")
        super().__init__(config)
        self._app = app
        self.socket = listening
        self._ready = ready
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.socket.getsockname()[1]}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; then the address is told."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, after the running generation."""
        await self._app.state.turn.stop()
        await super().shutdown(sockets)


@contextmanager
def ends_with_status_0() -> Iterator[None]:
    """SIGTERM ends the process with status 0 in this block, after all is closed: uvicorn raises it again at its end."""
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(*_: Any) -> None:
    sys.exit(0)
