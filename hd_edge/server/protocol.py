"""HTTP/1.1 of the server: uvicorn's, with clients that left told from those that wait, and refusals as OpenAI's."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .errors import RefusedError, describe, dumps
from .pieces import Connection
from .room import most_connections
from .turn import stopped
from .unread import HANG_UP, CountedTransport

MOST_AHEAD = 64 * 1024  # bytes behind a request that is being answered
MOST_HEAD = 16 * 1024  # bytes of a request's line and headers
AT_ONCE = 16 * 1024  # bytes that h11 is given at a time; it knows no bound of a head that comes as a whole
READ_TIME = 120.0  # seconds in which a request must arrive
WRITE_TIME = 30.0  # seconds between two looks whether a client takes what waits for it
FIRST_PROBE, LAST_PROBE = 0.05, 1.0  # seconds between interim answers to a client that sends no more


class Protocol(H11Protocol):
    """Goes on reading while a request is answered, and on answering where a client only ended its side.

    uvicorn stops reading when more comes while a request is answered: a pipelined one, or a line end too much. Who does
    not read does not see the end of the connection: the client could leave, and its answer would be made to the end.

    A client that ended its side and one that left look the same, until something is sent: who left refuses it. Until
    the answer begins, that is an interim answer (102).

    A client that does not read is left, whatever it is sent.
    """

    conn: Connection
    _sends_no_more = False
    _timer: asyncio.TimerHandle | None = None  # the time that a request has to arrive
    _probing: asyncio.TimerHandle | None = None
    _looking: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.conn = Connection(self.config.h11_max_incomplete_event_size or MOST_HEAD)

    def connection_made(self, transport: asyncio.Transport) -> None:
        """As uvicorn's; of more connections than there are files for, the last is refused."""
        self._counted = CountedTransport(transport)
        super().connection_made(cast("asyncio.Transport", self._counted))
        self._looking = self.loop.call_later(WRITE_TIME, self._look)
        most = most_connections()
        if len(self.connections) > most:
            self._refuse(RefusedError(503, f"{most} connections are open, no more are taken: close some", "too_many"))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        super().connection_lost(exc)
        for timer in (self._timer, self._probing, self._looking):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """As uvicorn's; a request that does not arrive as a whole ends its connection."""
        for start in range(0, len(data), AT_ONCE):
            super().data_received(data[start : start + AT_ONCE])
            if self.transport.is_closing():
                break
        self._watch()

    def eof_received(self) -> bool | None:
        """The client sends no more: it left, or it waits for its answer.

        Returns:
            True to keep the connection.
        """
        if not self._owed() or self.scope["http_version"] != "1.1":  # older clients do not know interim answers
            return None
        self._sends_no_more = True
        self._probe(FIRST_PROBE)
        return True

    def on_response_complete(self) -> None:
        """As uvicorn's; who sends no more is left when all it asked for is answered."""
        super().on_response_complete()
        if self._sends_no_more and not self.transport.is_closing():
            if self._owed():
                self._probe(FIRST_PROBE)
            else:
                self.transport.close()

    def handle_events(self) -> None:
        """As uvicorn's; what comes before its time waits, up to a bound."""
        super().handle_events()
        if self.cycle is not None:  # its application runs later
            self.cycle.scope.setdefault("extensions", {})[HANG_UP] = self._hang_up
        waits = self.conn.their_state is h11.DONE and self.conn.our_state is not h11.DONE
        if waits and len(self.conn.trailing_data[0]) <= MOST_AHEAD:
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """As uvicorn's, in OpenAI's words."""
        no_http = RefusedError(400, "the request is not HTTP/1.1: send plain HTTP, without TLS", "invalid_http")
        self._refuse(self.conn.refusal or no_http)

    def shutdown(self) -> None:
        """As uvicorn's, which would wait for a request that has not arrived."""
        if self.cycle is not None and not self.cycle.response_complete and self.cycle.more_body:
            self._refuse(stopped())
        else:
            super().shutdown()

    def _should_upgrade(self) -> bool:
        """There are no WebSockets here: the request is answered as if it asked for none, and nothing is logged."""
        return False

    def _owed(self) -> bool:
        """A request has arrived as a whole and is not answered."""
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body

    def _watch(self) -> None:
        arrives = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing()
        if arrives and self._timer is None:
            self._timer = self.loop.call_later(READ_TIME, self._too_slow)
        elif not arrives and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            msg = f"the request did not arrive within {READ_TIME:.0f} s: send it faster"
            self._refuse(RefusedError(408, msg, code="request_timeout"))

    def _look(self) -> None:
        if self._counted.is_stuck():
            self._hang_up()
        else:
            self._looking = self.loop.call_later(WRITE_TIME, self._look)

    def _hang_up(self) -> None:
        """Leaves a client that does not read; closing would wait until it has read."""
        self._release()
        self.transport.abort()

    def _release(self) -> None:
        """Tells the application that nobody waits for its answer any more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _probe(self, pause: float) -> None:
        if self._probing is not None:
            self._probing.cancel()
        if not self.transport.is_closing() and self.conn.our_state is h11.SEND_RESPONSE:
            self.transport.write(self.conn.send(h11.InformationalResponse(status_code=102, headers=[])) or b"")
            self._probing = self.loop.call_later(pause, self._probe, min(2 * pause, LAST_PROBE))

    def _refuse(self, error: RefusedError) -> None:
        """Answers where no answer has begun, and closes; the application is told that nobody waits for another.

        uvicorn would send two answers, or one behind the other, and log what h11 says of that.
        """
        self._release()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status, what = describe(error)
            body = dumps({"error": what})
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            answer = h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in answer))
        self.transport.close()
