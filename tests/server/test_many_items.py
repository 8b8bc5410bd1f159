"""Bodies within the limit of bytes that hold very many items: refused before each of them costs time and memory."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hd_edge.server.fields import Body
from hd_edge.server.messages import MOST_PIECES, MOST_TOOLS
from hd_edge.server.requests import (
    MOST_EMBEDDED,
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    EmbeddingRequest,
)
from hd_edge.server.responses import ResponsesRequest

MANY = 50_000
USER = {"role": "user", "content": "a"}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [0] * MANY}}
BODIES: dict[str, tuple[type[Body], dict]] = {
    "messages": (ChatRequest, {"messages": [0] * MANY}),
    "good messages": (ChatRequest, {"messages": [USER] * MANY}),
    "parts": (ChatRequest, {"messages": [{"role": "user", "content": [0] * MANY}]}),
    "calls": (ChatRequest, {"messages": [{"role": "assistant", "tool_calls": [0] * 100}] * 500}),
    "tools": (ChatRequest, {"messages": [USER], "tools": [0] * MANY}),
    "functions": (ChatRequest, {"messages": [USER], "functions": [0] * MANY}),
    "allowed tools": (ChatRequest, {"messages": [USER], "tool_choice": ALLOWED}),
    "stop": (ChatRequest, {"messages": [USER], "stop": [0] * MANY}),
    "prompt of wrong ids": (CompletionRequest, {"prompt": [-1] * MANY}),
    "prompts of wrong ids": (CompletionRequest, {"prompt": [[-1]] * MANY}),
    "prompt of anything": (CompletionRequest, {"prompt": [{}] * MANY}),
    "input": (ResponsesRequest, {"input": [0] * MANY}),
    "tools of a response": (ResponsesRequest, {"input": "a", "tools": [0] * MANY}),
    "ids": (DetokenizeRequest, {"tokens": [-1] * MANY}),
    "texts to embed": (EmbeddingRequest, {"input": ["a"] * MANY}),
}


@pytest.mark.parametrize("name", BODIES)
def test_many_items_are_one_mistake(name):
    kind, body = BODIES[name]
    with pytest.raises(ValidationError) as refused:
        kind.model_validate(body)
    errors = refused.value.errors()
    assert len(errors) == 1, errors[:3]
    assert len(errors[0]["msg"]) < 300


def test_the_limits_themselves_are_taken():
    tools = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(MOST_TOOLS)]
    request = ChatRequest.model_validate({"messages": [USER] * MOST_PIECES, "tools": tools})
    assert (len(request.messages), len(request.tools)) == (MOST_PIECES, MOST_TOOLS)
    assert len(EmbeddingRequest.model_validate({"input": ["a"] * MOST_EMBEDDED}).input) == MOST_EMBEDDED
    assert len(CompletionRequest.model_validate({"prompt": [1] * MANY}).prompt) == MANY


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 2**31])
def test_what_is_no_token_id_is_named_with_its_place(value):
    with pytest.raises(ValidationError) as refused:
        DetokenizeRequest.model_validate({"tokens": [1, value, -1]})
    assert [one["loc"] for one in refused.value.errors()] == [("tokens", 1)]
