"""A request that comes in very many pieces is refused; one of many is answered, and nobody else is held."""

from __future__ import annotations

import json
import logging

import h11
import httpx
import pytest
from served import HEALTH, everything

from hd_edge.server.pieces import FREE_PIECES, LEAST_BYTES, Connection

BODY = json.dumps({"prompt": "the cat", "max_tokens": 1}).encode()
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
COMPLETION = HEAD % (b"/v1/completions", b"application/json")
TOO_MANY = next(n for n in range(FREE_PIECES, 2 * FREE_PIECES) if n > FREE_PIECES + n // LEAST_BYTES)


def chunks(data: bytes, size: int) -> bytes:
    """The body in chunks, without the end."""
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def the_answer(said: bytes) -> tuple[int, dict]:
    """Status and error of an answer."""
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize("waited_for", [False, True])
@pytest.mark.parametrize("path", [b"/v1/completions", b"/nowhere", b"/health"])
def test_a_body_in_very_many_pieces_is_refused(served, path, waited_for, caplog):
    body = chunks(b" " * TOO_MANY, 1)
    with caplog.at_level(logging.WARNING), served.connect(HEAD % (path, b"application/json")) as client:
        if waited_for:
            client.sendall(body[:60])
            served.post("/v1/completions", json.loads(BODY)).raise_for_status()
            body = body[60:]
        client.sendall(body)
        status, error = the_answer(everything(client))
    assert (status, error["code"], error["type"]) == (400, "too_many_pieces", "invalid_request_error")
    assert error["message"].startswith(f"the body came in too many pieces, {TOO_MANY} for {TOO_MANY} bytes: send it")
    assert [record for record in caplog.records if record.exc_info or record.levelno > logging.WARNING] == []
    assert served.post("/v1/completions", json.loads(BODY)).status_code == 200


@pytest.mark.parametrize(
    ("size", "blanks"), [(1, 0), (64, 2**20), (2**20, 3 * 2**20)], ids=["characters", "64 bytes", "MiB"]
)
def test_a_body_in_many_pieces_is_answered(served, size, blanks):
    body = b" " * blanks + BODY

    def parts():
        for start in range(0, len(body), size):
            yield body[start : start + size]

    answer = httpx.post(
        f"{served.url}/v1/completions", content=parts(), headers={"Content-Type": "application/json"}, timeout=120
    )
    assert answer.json()["usage"]["completion_tokens"] == 1


def test_each_request_of_a_connection_has_its_own_pieces(served):
    request = COMPLETION + chunks(b" " * (FREE_PIECES - len(BODY)) + BODY, 1) + b"0\r\n\r\n"
    with served.connect(request * 2 + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as client:
        said = everything(client)
    assert said.count(b"HTTP/1.1 200 OK") == 3


def test_who_goes_on_after_the_answer_is_left(served):
    with served.connect(HEAD % (b"/v1/completions", b"text/plain")) as client:
        said = b""
        while not said.endswith(b"}"):
            said += client.recv(65_536)
        assert the_answer(said)[0] == 415
        client.sendall(chunks(b" " * LEAST_BYTES * (FREE_PIECES + 1), LEAST_BYTES))
        assert everything(client) == b""


def test_a_head_that_comes_as_a_whole_is_bounded_too(served):
    with served.connect(HEALTH[:-2] + b"a:\r\n" * 2**14 + b"\r\n") as client:
        status, error = the_answer(client.recv(65_536))
    assert (status, error["code"]) == (431, "head_too_large")
    assert "more than 16384 bytes" in error["message"]


def test_pieces_are_counted_until_there_are_too_many():
    connection, taken = Connection(2**14), 0
    connection.receive_data(COMPLETION + chunks(b" " * 2 * FREE_PIECES, 1))
    assert type(connection.next_event()) is h11.Request
    with pytest.raises(h11.RemoteProtocolError, match="too many pieces"):
        while type(connection.next_event()) is h11.Data:
            taken += 1
    assert taken == TOO_MANY - 1
