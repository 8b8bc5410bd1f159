"""In how many pieces a request comes in: each costs time in which nobody else is served."""

from __future__ import annotations

from typing import Any

import h11

from .errors import RefusedError

FREE_PIECES = 4096  # of a body, however small
LEAST_BYTES = 48  # of each piece beyond, on average
WRONG = {  # how h11's words for what is wrong begin, and ours
    "Missing mandatory Host": "the request has no Host header: send one",
    "Found multiple Host": "the request has several Host headers: send one",
    "conflicting Content-Length": "the request has Content-Length headers that differ: send one",
    "bad Content-Length": "the Content-Length header is no number of bytes: send how many the body has",
    "multiple Transfer-Encoding": "the request has several Transfer-Encoding headers: send one, or none",
    "Only Transfer-Encoding": "the request has another Transfer-Encoding than chunked: send the body as it is",
    "illegal header line": "a header is not of the form 'Name: value', or has a character that none may have: mend it",
    "continuation line": "the first header begins with a blank: send its name first",
    "illegal chunk": "the body is not in chunks, as its Transfer-Encoding says: send it as it is",
}
NO_HTTP = ("illegal request line", "no request line", "Illegal method")  # nothing is known of such a request


class Connection(h11.Connection):
    """h11's, which takes a body in any number of pieces: each chunk, and each packet, is an event of its own.

    Args:
        most_bytes: Of a head.
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__(h11.SERVER, most_bytes)
        self.refusal: RefusedError | None = None  # why the last event was an error; None: no HTTP
        self._most_bytes = most_bytes
        self._pieces = self._bytes = 0  # of this request's body

    def next_event(self) -> Any:
        """As h11's.

        Raises:
            h11.RemoteProtocolError: Also for a body of too many pieces.
        """
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                msg = f"a line or the head of the request has more than {self._most_bytes} bytes: send fewer headers"
                self.refusal = RefusedError(431, msg, code="head_too_large")
            elif not str(error).startswith(NO_HTTP):
                found = (text for words, text in WRONG.items() if str(error).startswith(words))
                instead = next(found, "the request breaks a rule of HTTP/1.1: send it by a library for HTTP")
                self.refusal = RefusedError(400, instead, code="invalid_http")
            raise
        if isinstance(event, h11.Data):
            self._count(len(event.data))
        return event

    def start_next_cycle(self) -> None:
        """As h11's."""
        super().start_next_cycle()
        self._pieces = self._bytes = 0

    def _count(self, size: int) -> None:
        self._pieces += 1
        self._bytes += size
        read = self.our_state in (h11.SEND_RESPONSE, h11.SEND_BODY)  # else it is answered, and the rest is thrown away
        if self._pieces > FREE_PIECES + (self._bytes // LEAST_BYTES if read else 0):
            msg = (
                f"the body came in too many pieces, {self._pieces} for {self._bytes} bytes: send it whole,"
                f" or in chunks of at least {LEAST_BYTES} bytes"
            )
            self.refusal = RefusedError(400, msg, code="too_many_pieces")
            raise h11.RemoteProtocolError(msg)
