"""Runs the application until a signal ends it: the generation first, then the connections, then the model."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from hd_edge.backend.signals import is_ignored
from hd_edge.errors import ConfigError

from .protocol import Protocol
from .room import make_room

BACKLOG = 2048  # uvicorn's
HANG_UP: int | None = getattr(signal, "SIGHUP", None)  # a terminal was closed; Windows has no such signal
ENDS = [int(signal.SIGINT), int(signal.SIGTERM), *([] if HANG_UP is None else [int(HANG_UP)])]
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
        make_room()
        self._app = app
        self.socket = listening
        self._ready = ready
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.socket.getsockname()[1]}"

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, which does not know of terminals, nor of signals that the process is to ignore."""
        ignored = [number for number in ENDS if is_ignored(number)]
        with super().capture_signals():
            before = signal.signal(HANG_UP, self.handle_exit) if HANG_UP is not None else None
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            try:
                yield
            finally:
                if HANG_UP is not None:
                    signal.signal(HANG_UP, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's; who asks again means the same, where uvicorn would leave the model as it is."""
        super().handle_exit(sig, frame)
        self.force_exit = False

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
def ends_in_order() -> Iterator[None]:
    """Ctrl-C ends this block as ever, SIGTERM and a terminal that is closed with status 0, after all is closed.

    uvicorn raises a signal again at its end, into the handler here; from then on, who asks again means the same, to
    the end of the process.
    """
    before = {number: signal.getsignal(number) for number in ENDS if not is_ignored(number)}

    def end(number: int, _: Any) -> None:
        for each in list(before):
            signal.signal(each, signal.SIG_IGN)
        before.clear()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(0)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
