"""Bytes behind a request: pipelined requests are answered in order, and a client that left is noticed all the same."""

from __future__ import annotations

import json
import socket

import pytest
from served import Served

from hd_edge import Llama
from hd_edge.server import create_app

LONG = {"prompt": "the cat", "max_tokens": 30_000, "temperature": 0.0, "logit_bias": {"2": -100}}
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def served(models):
    with Llama(str(models("Q4_0")), n_ctx=32_768, n_threads=1, n_threads_batch=1, store=None) as llm:
        server = Served(create_app(llm, "tiny"))
        yield server
        server.stop()


def completion(**body):
    data = json.dumps({**LONG, **body}).encode()
    lines = ("POST /v1/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""]).encode() + data


@pytest.mark.parametrize("behind", [HEALTH, completion(), b"\r\n", HEALTH * 300], ids=["get", "post", "line", "many"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_left_is_noticed_behind_what_it_sent_ahead(served, behind, stream):
    outcome = 'hd_edge:requests_total{outcome="cancelled"}'
    before = served.metric(outcome), served.metric('hd_edge:requests_total{outcome="done"}')
    with socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1]))) as connection:
        connection.sendall(completion(stream=stream))
        served.wait_for("llamacpp:requests_processing", 1)
        connection.sendall(behind)
    served.wait_for(outcome, before[0] + 1)
    served.wait_for("llamacpp:requests_processing", 0)
    assert served.metric('hd_edge:requests_total{outcome="done"}') == before[1]


def test_pipelined_requests_are_answered_in_order(served):
    with socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1]))) as connection:
        connection.sendall(completion(max_tokens=3) + HEALTH.replace(b"/health", b"/v1/models") + HEALTH)
        said = b""
        while b'"ok"' not in said:
            got = connection.recv(65_536)
            assert got
            said += got
    places = [said.index(part) for part in (b"text_completion", b'"object":"list"', b'"status":"ok"')]
    assert places == sorted(places)


def test_nothing_is_fetched_from_elsewhere(served):
    """The framework's own pages of documentation load scripts of another site."""
    import httpx

    assert httpx.get(f"{served.url}/docs").status_code == httpx.get(f"{served.url}/redoc").status_code == 404
    assert "/v1/completions" in httpx.get(f"{served.url}/openapi.json").json()["paths"]
    page = httpx.get(served.url).text
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_logprobs_are_answered_where_the_server_keeps_logits(models):
    with Llama(str(models("Q4_0")), n_ctx=256, n_threads=1, n_threads_batch=1, store=None, logits_all=True) as llm:
        server = Served(create_app(llm, "tiny"))
        answer = server.post("/v1/completions", {"prompt": "a", "max_tokens": 3, "logprobs": 2}).json()
        server.stop()
    assert len(answer["choices"][0]["logprobs"]["token_logprobs"]) == 3
