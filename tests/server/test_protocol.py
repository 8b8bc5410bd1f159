"""Bytes behind a request: pipelined requests are answered in order, and a client that left is noticed all the same."""

from __future__ import annotations

import httpx
import pytest
from served import CANCELLED, HEALTH, request

LONG = {"prompt": "the cat", "max_tokens": 30_000, "temperature": 0.0, "logit_bias": {"2": -100}}


@pytest.fixture(scope="module")
def served(tiny, serve):
    return serve(tiny(n_ctx=32_768))


def completion(**body):
    return request("/v1/completions", {**LONG, **body})


@pytest.mark.parametrize("behind", [HEALTH, completion(), b"\r\n", HEALTH * 300], ids=["get", "post", "line", "many"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_left_is_noticed_behind_what_it_sent_ahead(served, behind, stream):
    before = served.metric(CANCELLED), served.metric('hd_edge:requests_total{outcome="done"}')
    with served.connect(completion(stream=stream)) as connection:
        served.wait_for("llamacpp:requests_processing", 1)
        connection.sendall(behind)
    served.wait_for(CANCELLED, before[0] + 1)
    served.wait_for("llamacpp:requests_processing", 0)
    assert served.metric('hd_edge:requests_total{outcome="done"}') == before[1]


def test_pipelined_requests_are_answered_in_order(served):
    ahead = completion(max_tokens=3) + HEALTH.replace(b"/health", b"/v1/models") + HEALTH
    with served.connect(ahead) as connection:
        said = b""
        while b'"ok"' not in said:
            got = connection.recv(65_536)
            assert got
            said += got
    places = [said.index(part) for part in (b"text_completion", b'"object":"list"', b'"status":"ok"')]
    assert places == sorted(places)


def test_nothing_is_fetched_from_elsewhere(served):
    """The framework's own pages of documentation load scripts of another site."""
    assert httpx.get(f"{served.url}/docs").status_code == httpx.get(f"{served.url}/redoc").status_code == 404
    assert "/v1/completions" in httpx.get(f"{served.url}/openapi.json").json()["paths"]
    page = httpx.get(served.url).text
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_logprobs_are_answered_where_the_server_keeps_logits(tiny, serve):
    served = serve(tiny(logits_all=True))
    answer = served.post("/v1/completions", {"prompt": "a", "max_tokens": 3, "logprobs": 2}).json()
    assert len(answer["choices"][0]["logprobs"]["token_logprobs"]) == 3
