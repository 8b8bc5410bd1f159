"""Bodies that are no HTTP: an answer or a closed connection, and not a word in the log."""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

import pytest
from served import Served

from hd_edge import Llama
from hd_edge.server import create_app

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
def served(models):
    llm = Llama(str(models("Q4_0")), n_ctx=256, n_threads=1, n_threads_batch=1, store=None)
    server = Served(create_app(llm, "tiny", api_key="secret"))
    yield server
    server.stop()


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("path", ["/v1/completions", "/nowhere", "/health"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_broken_body_leaves_nothing_in_the_log(served, key, path, body, at_once, caplog):
    address = urlsplit(served.url)
    head = HEAD.format(path=path, more="Authorization: Bearer secret\r\n" if key else "")
    with (
        caplog.at_level(logging.INFO),
        socket.create_connection((address.hostname, address.port), timeout=20) as client,
    ):
        client.sendall((head + BODIES[body] if at_once else head).encode())
        if not at_once:
            client.sendall(BODIES[body].encode())
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert served.post("/v1/completions", {}).status_code == 401
    records = [record for record in caplog.records if record.name.startswith(("uvicorn", "hd_edge", "asyncio"))]
    assert [record.getMessage() for record in records if record.levelno > logging.INFO] == []
