"""Whether a client takes what is sent to it: who does not would hold a connection, and what waits for it, for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Scope

HANG_UP = "hd_edge.hang_up"  # extension of the ASGI scope, where our protocol serves
LEAST_TAKEN = 16 * 1024  # bytes between two looks; fewer are no reading


def hang_up(scope: Scope) -> None:
    """Ends the connection of a request whose client does not read."""
    if end := scope.get("extensions", {}).get(HANG_UP):
        end()


class CountedTransport:
    """A transport that knows how much of what was written has left it.

    Args:
        transport: asyncio's, or uvloop's, whose methods cannot be replaced.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written = 0  # bytes, in all
        self._before = (0, 0)  # written, and taken, at the last look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """As asyncio's."""
        self._written += len(data)
        self._transport.write(data)

    def is_stuck(self) -> bool:
        """Since the last call little was taken, and not even all that had been written by then."""
        written, taken = self._before
        now = self._written - self._transport.get_write_buffer_size()
        self._before = (self._written, now)
        return now < written and now - taken < LEAST_TAKEN
