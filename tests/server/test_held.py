"""Requests that the server once answered wrongly, or not at all."""

from __future__ import annotations

import httpx
import pytest

GREEDY = {"max_tokens": 4, "temperature": 0.0}
USER = {"role": "user", "content": "the cat"}


@pytest.fixture(scope="module")
def served(tiny, serve):
    return serve(tiny(n_ctx=512))


def chat(served, *messages, **more):
    return served.post("/v1/chat/completions", {"messages": list(messages), **GREEDY, **more})


def said(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_a_name_that_every_chunk_would_repeat_is_bounded(served, path):
    response = served.post(path, {"prompt": "a", "messages": [USER], **GREEDY, "model": "m" * 2000})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")
    assert "the name has 2000 characters" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#/nope"}, {"type": "nosuch"}, {"type": "string", "pattern": "["}, {"$ref": "https://x.example/y"},
     {"type": ["string", "null", 5]}],
)  # fmt: skip
def test_a_schema_that_is_none_is_told_and_not_left_out(served, schema):
    response = chat(served, USER, response_format={"type": "json_object", "schema": schema})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "response_format"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 0, "maxLength": 2000},
        {"type": "string", "pattern": "^" + "a?" * 600 + "$"},
        {"type": "string", "pattern": "^" + "(a?b?c?)" * 200 + "$"},
    ],
)
def test_long_schemas_are_answered_at_once(served, schema):
    said(chat(served, USER, response_format={"type": "json_object", "schema": schema}))


def test_every_choice_of_a_random_seed_is_random(served):
    body = {"prompt": "the cat", "max_tokens": 12, "n": 2, "temperature": 2.0}
    texts = [
        tuple(c["text"] for c in served.post("/v1/completions", {**body, "seed": -1}).json()["choices"])
        for _ in range(3)
    ]
    assert len({second for _, second in texts}) > 1
    last = served.post("/v1/completions", {**body, "seed": 2**32 - 1})
    assert last.status_code == 200, last.text
    assert served.post("/v1/completions", {**body, "seed": 2**32}).json()["error"]["param"] == "seed"


def test_the_model_is_found_by_its_name(served):
    assert httpx.get(f"{served.url}/v1/models/tiny").json()["id"] == "tiny"
    missing = httpx.get(f"{served.url}/v1/models/other/one")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    assert httpx.head(f"{served.url}/health").status_code == httpx.head(served.url).status_code == 200


def test_more_text_than_the_context_holds_is_not_tokenized(served):
    for path in ("/extras/tokenize", "/extras/tokenize/count"):
        response = served.post(path, {"input": "a b " * 500_000})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")
