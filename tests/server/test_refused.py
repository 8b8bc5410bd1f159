"""What cannot be read or followed: a sentence that says why, before it costs anything."""

from __future__ import annotations

import httpx
import pytest

GREEDY = {"max_tokens": 3, "temperature": 0.0}


def error(response: httpx.Response) -> dict:
    assert response.status_code == 400, response.text
    return response.json()["error"]


@pytest.mark.parametrize(
    "other",
    [
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"functions": [{"name": "f"}]},
    ],
)
def test_a_grammar_beside_another_form_is_refused(served, other):
    body = {"messages": [{"role": "user", "content": "hi"}], "grammar": 'root ::= "a"', **GREEDY}
    wrong = error(served.post("/v1/chat/completions", {**body, **other}))
    assert wrong["param"] == "grammar"
    assert next(iter(other)) in wrong["message"]
    assert served.post("/v1/chat/completions", {**body, "response_format": {"type": "text"}}).status_code == 200


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"prompt": "\xff"}', "not UTF-8: byte 0xff at 12"),
        (b'{"prompt": ' + b"[" * 40_000, "too many lists"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "too many digits"),
    ],
)
def test_why_a_body_cannot_be_read(served, body, why):
    answer = httpx.post(served.url + "/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert why in error(answer)["message"]


def test_half_a_character_in_a_grammar(served):
    body = {"prompt": "a", "grammar": 'root ::= "\ud800"', **GREEDY}
    wrong = error(served.post("/v1/completions", body))
    assert wrong["param"] == "grammar"
    assert "half a surrogate pair" in wrong["message"]


def test_many_short_messages_are_refused_before_they_are_tokenized(served, llm, monkeypatch):
    """What the template adds to each counts: llama.cpp takes a minute for a megabyte of control tokens."""
    longest = max(len(llm.detokenize([token], special=True)) for token in range(llm.n_vocab()))
    body = {"messages": [{"role": "user", "content": ""}] * (256 * longest), "max_tokens": 1}
    tokenized = []
    real = llm.tokenize
    monkeypatch.setattr(
        llm, "tokenize", lambda text, *more, **named: tokenized.append(len(text)) or real(text, *more, **named)
    )
    assert error(served.post("/v1/chat/completions", body))["code"] == "context_length_exceeded"
    assert max(tokenized, default=0) < 256 * longest
