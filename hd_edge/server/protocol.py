"""HTTP/1.1 of the server: uvicorn's, that notices that a client left also where it sent more than its turn."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_AHEAD = 64 * 1024  # bytes behind a request that is being answered


class Protocol(H11Protocol):
    """Goes on reading while a request is answered.

    uvicorn stops reading when more comes while a request is answered: a pipelined one, or a line end too much. Who does
    not read does not see the end of the connection: the client could leave, and its answer would be made to the end.
    """

    def handle_events(self) -> None:
        """As uvicorn's; what comes before its time waits, up to a bound."""
        super().handle_events()
        waits = self.conn.their_state is h11.DONE and self.conn.our_state is not h11.DONE
        if waits and len(self.conn.trailing_data[0]) <= MOST_AHEAD:
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """As uvicorn's, where no answer has begun; the application is told that nobody waits for one.

        uvicorn would send two answers, or one behind the other, and log what h11 says of that.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()
