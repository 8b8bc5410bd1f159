"""Bodies that are no HTTP: an answer or a closed connection, and not a word in the log."""

from __future__ import annotations

import logging
import socket

import pytest
from served import everything

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Type: application/json\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
)
BODIES = {
    "no size": "zzz\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer": "3\r\nabcdef\r\n0\r\n\r\n",
    "a negative size": "-1\r\n\r\n",
    "nothing": "",
    "half a chunk": "ff\r\nabc",
    "a size without end": "1" * 5000,
    "a good chunk, then none": "2\r\n{}\r\nxx\r\n",
}


@pytest.fixture(scope="module")
def served(tiny, serve):
    return serve(tiny(), api_key="secret")


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("path", ["/v1/completions", "/nowhere", "/health"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_broken_body_leaves_nothing_in_the_log(served, key, path, body, at_once, caplog):
    head = HEAD.format(path=path, more="Authorization: Bearer secret\r\n" if key else "")
    first = head + BODIES[body] if at_once else head
    with caplog.at_level(logging.INFO), served.connect(first.encode()) as client:
        if not at_once:
            client.sendall(BODIES[body].encode())
        client.shutdown(socket.SHUT_WR)
        answer = everything(client)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert served.post("/v1/completions", {}).status_code == 401
    records = [record for record in caplog.records if record.name.startswith(("uvicorn", "hd_edge", "asyncio"))]
    assert [record.getMessage() for record in records if record.levelno > logging.INFO] == []
