"""A client that does not read what it asked for is left: it holds neither a turn nor a connection."""

from __future__ import annotations

import logging
import socket
import time

import pytest
from served import CANCELLED, HEALTH, request

from hd_edge.server import protocol
from hd_edge.server.unread import CountedTransport

TEXT = "x" * 3_000_000  # more than the buffers of both sides hold


@pytest.fixture
def logged(caplog):
    """What the server logs."""
    log = logging.getLogger("uvicorn.error")
    log.addHandler(caplog.handler)
    yield caplog.records
    log.removeHandler(caplog.handler)


@pytest.fixture(scope="module")
def impatient(tiny, serve):
    """A server whose generations wait for no reader, and whose sockets hold little."""
    return small(serve(tiny(n_ctx=8192), patience=0.0))


def small(served):
    served.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # of what it accepts from now on
    return served


def asks(served, data):
    """A client with little room that has sent this and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect(served.socket.getsockname())
    connection.sendall(data)
    return connection


def wait_for_none(served):
    deadline = time.monotonic() + 60
    while open_ones := len(served.server.server_state.connections):
        assert time.monotonic() < deadline, f"{open_ones} connections are open"
        time.sleep(0.01)


def test_who_does_not_read_a_stream_holds_no_connection(impatient, logged):
    before = impatient.metric(CANCELLED)
    body = {"prompt": "a", "max_tokens": 8000, "stream": True, "logprobs": 20, "logit_bias": {"2": -100}}
    with asks(impatient, request("/v1/completions", body)):
        wait_for_none(impatient)
    assert impatient.metric(CANCELLED) == before + 1
    assert not logged


def test_who_does_not_read_the_rest_of_a_stream_holds_no_connection(impatient, logged):
    """The generation ends, its chunks all have room, and the client takes them not."""
    body = {"prompt": "a", "max_tokens": 200, "stream": True, "logprobs": 20, "logit_bias": {"2": -100}}
    with asks(impatient, request("/v1/completions", body)):
        wait_for_none(impatient)
    assert not logged


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
def test_who_does_not_read_a_document_holds_no_connection(llm, serve, more, monkeypatch, logged):
    served = small(serve(llm))
    body = {"input": "a", "max_output_tokens": 1, "metadata": {"a": TEXT}}
    name = served.post("/v1/responses", body).json()["id"]
    monkeypatch.setattr(protocol, "WRITE_TIME", 0.02)
    asked = f"GET /v1/responses/{name} HTTP/1.1\r\nHost: localhost\r\n".encode() + more + b"\r\n"
    clients = [asks(served, asked) for _ in range(4)]
    try:
        wait_for_none(served)
    finally:
        for client in clients:
            client.close()
    assert not logged


def test_who_reads_slowly_but_reads_is_answered(monkeypatch):
    """Looks come as they please: what counts is what is taken between two of them."""
    counted = CountedTransport(transport := Transport())
    counted.write(b"x" * 100_000)
    assert not counted.is_stuck()  # it is new
    transport.waits -= 20_000
    assert not counted.is_stuck()
    counted.write(b"x" * 10)
    transport.waits -= 20_000
    assert not counted.is_stuck()
    transport.waits -= 100
    assert counted.is_stuck()
    transport.waits = 5
    assert not counted.is_stuck()
    assert counted.is_stuck()  # the last five bytes
    transport.waits = 0
    counted.write(b"x" * 10)
    assert not counted.is_stuck()


class Transport:
    waits = 0

    def write(self, data):
        self.waits += len(data)

    def get_write_buffer_size(self):
        return self.waits


def test_a_client_that_waits_is_not_left(served, monkeypatch):
    monkeypatch.setattr(protocol, "WRITE_TIME", 0.001)
    with served.connect() as connection:
        for _ in range(3):
            connection.sendall(HEALTH)
            said = b""
            while not said.endswith(b'{"status":"ok"}'):
                said += connection.recv(65_536)
                assert said
            served.wait_for(CANCELLED, 0)
