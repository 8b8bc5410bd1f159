"""Connections: clients that send no more and wait, clients that left, requests that never arrive as a whole."""

from __future__ import annotations

import json
import logging
import socket
import struct

import pytest
from served import CANCELLED, HEALTH, everything, request

from hd_edge.server import protocol


@pytest.fixture(scope="module")
def served(tiny, serve):
    return serve(tiny(n_ctx=32_768))


@pytest.fixture
def logged(caplog):
    """What the server logs, also below its own level."""
    log = logging.getLogger("uvicorn.error")
    level = log.level
    log.setLevel(logging.WARNING)
    log.addHandler(caplog.handler)
    yield caplog.records
    log.removeHandler(caplog.handler)
    log.setLevel(level)


def completion(version="1.1", **body):
    body = {"prompt": "the cat", "temperature": 0.0, "logit_bias": {"2": -100}, **body}
    return request("/v1/completions", body, version)


def answer(connection):
    said = b""
    while not said.endswith(b"}"):
        said += connection.recv(65_536)
    return said


@pytest.mark.parametrize("stream", [False, True])
def test_who_sends_no_more_has_its_answers(served, stream):
    with served.connect(completion(max_tokens=200, stream=stream) + HEALTH) as connection:
        connection.shutdown(socket.SHUT_WR)
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 102 ")
    assert said.count(b"HTTP/1.1 200 ") == 2
    assert (b"[DONE]" if stream else b'"finish_reason":"length"') in said
    assert said.endswith(b'{"status":"ok"}')


def test_who_sends_no_more_and_leaves_is_noticed(served):
    before = served.metric(CANCELLED)
    with served.connect(completion(max_tokens=30_000)) as connection:
        served.wait_for("llamacpp:requests_processing", 1)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 102 ")
        assert served.metric("llamacpp:requests_processing") == 1
    served.wait_for(CANCELLED, before + 1)
    served.wait_for("llamacpp:requests_processing", 0)


@pytest.mark.parametrize("data", [completion("1.0", max_tokens=30_000), completion(max_tokens=9)[:-3], HEALTH[:-3]])
def test_what_cannot_be_answered_any_more_is_closed(served, data):
    """Clients of HTTP/1.0 know no interim answers; the others have not said all."""
    with served.connect(data) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert everything(connection) == b""
    served.wait_for("llamacpp:requests_processing", 0)


@pytest.mark.parametrize("data", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 60])
def test_what_is_no_http_is_refused_in_the_words_of_the_api(served, data):
    with served.connect(data) as connection:
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head.lower()
    assert json.loads(body)["error"] == {
        "message": "the request is not HTTP/1.1: send plain HTTP, without TLS",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_http",
    }


@pytest.mark.parametrize(
    ("more", "header"),
    [
        ("Host: a\r\nHost: b\r\n", "several Host headers"),
        ("", "no Host header"),
        ("Host: a\r\nContent-Length: many\r\n", "Content-Length header is no number"),
        ("Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n", "Content-Length headers that differ"),
        ("Host: a\r\nX: a\0b\r\n", "a character that none may have"),
        ("Host: a\r\nmultiple Host\r\n", "not of the form 'Name: value'"),
        ("Host: a\r\nTransfer-Encoding: gzip\r\n", "another Transfer-Encoding than chunked"),
        (" X: a\r\nHost: a\r\n", "begins with a blank"),
    ],
)
def test_a_header_that_is_wrong_is_named(served, more, header):
    with served.connect(f"GET /health HTTP/1.1\r\n{more}\r\n".encode()) as connection:
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    told = json.loads(body)["error"]
    assert header in told["message"]
    assert told["code"] == "invalid_http"


def test_a_probe_of_http_1_0_names_no_host(served):
    with served.connect(b"GET /health HTTP/1.0\r\n\r\n") as connection:
        assert everything(connection).startswith(b"HTTP/1.1 200 ")


def test_a_websocket_is_answered_as_any_request_and_nothing_is_logged(served, logged):
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: YQ==\r\n\r\n"
    with served.connect(HEALTH[:-2].replace(b"/health", b"/v1/completions") + upgrade) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 405 ")
    assert logged == []


@pytest.mark.parametrize("data", [b"", HEALTH[:-3], completion(max_tokens=9)[:-3]], ids=["nothing", "head", "body"])
def test_a_request_that_does_not_arrive_ends_its_connection(served, monkeypatch, data):
    monkeypatch.setattr(protocol, "READ_TIME", 0.2)
    with served.connect(data) as connection:
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in said


def test_a_request_that_arrived_has_no_such_end(served):
    with served.connect(HEALTH) as connection:
        assert b'"ok"' in answer(connection)
        known = [each for each in served.server.server_state.connections if each.client == connection.getsockname()]
        assert [each._timer for each in known] == [None]


def test_more_connections_than_files_are_refused(served, monkeypatch):
    monkeypatch.setattr(protocol, "most_connections", lambda: 5)
    connections = [served.connect(HEALTH) for _ in range(8)]
    said = [answer(connection) for connection in connections]
    for connection in connections:
        connection.close()
    refused = sum(b'"code":"too_many"' in each for each in said)
    assert 3 <= refused < 8  # connections of the test before may not be gone yet
    assert refused + sum(b'"ok"' in each for each in said) == 8


def test_a_body_that_still_arrives_does_not_keep_the_server(tiny, serve, logged):
    served = serve(tiny())
    with served.connect(completion(max_tokens=9)[:-3]) as connection:
        with served.connect(HEALTH) as other:
            answer(other)  # what was sent before is read
        served.stop()
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"server_stopping"' in said
    assert logged == []


def test_nothing_is_written_to_who_left_in_the_middle_of_a_stream(served, caplog):
    """asyncio logs the fifth write behind an end of the connection that the writer was not told of."""
    for _ in range(60):
        with served.connect(completion(max_tokens=400, stream=True)) as connection:
            assert connection.recv(300)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset
    with served.connect(completion(max_tokens=1)) as connection:  # all others have ended
        assert b'"finish_reason"' in answer(connection)
    assert not [record for record in caplog.records if record.name == "asyncio"]
