"""Messages, formats and tools as OpenAI's clients send them, and models as they ask for them."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from served import Served

from hd_edge import Llama
from hd_edge.server import create_app
from hd_edge.server.messages import message

GREEDY = {"max_tokens": 4, "temperature": 0.0}
USER = {"role": "user", "content": "the cat"}
CALL = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def served(models):
    with Llama(str(models("Q4_0")), n_ctx=512, n_threads=1, n_threads_batch=1, store=None) as llm:
        server = Served(create_app(llm, "tiny"))
        yield server
        server.stop()


def chat(served, *messages, **more):
    return served.post("/v1/chat/completions", {"messages": list(messages), **GREEDY, **more})


def said(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def test_parts_of_text_are_one_text(served):
    parts = [{"type": "text", "text": "the "}, {"type": "text", "text": "cat"}]
    assert said(chat(served, {"role": "user", "content": parts})) == said(chat(served, USER))


def test_a_developer_is_the_system(served):
    answers = [said(chat(served, {"role": role, "content": "Be short."}, USER)) for role in ("developer", "system")]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
def test_a_conversation_goes_on_after_a_tool_was_called(served, content):
    call = {"role": "assistant", "tool_calls": [CALL], **content}
    assert said(chat(served, USER, call, {"role": "tool", "tool_call_id": "c1", "content": "noon"})) is not None


def test_a_schema_as_openai_describes_it(served):
    schema = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}
    forms = (
        {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}},
        {"type": "json_object", "schema": schema},
    )
    for form in forms:
        assert re.fullmatch(r'\{\s*"a"\s*:\s*"x"\s*\}', said(chat(served, USER, max_tokens=60, response_format=form)))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": [{"role": "robot", "content": "a"}]}, "role 'robot' is none of system, user"),
        ({"messages": [{"role": "user"}]}, "a message of role 'user' has no content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "a part of type 'image_url'"),
        ({"messages": [3]}, "a message is an object"),
        ({"messages": [USER], "response_format": {"type": "json_schema"}}, "of type 'json_schema' has"),
        ({"messages": [USER], "tool_choice": "required"}, "takes one tool, there are 0"),
        ({"messages": [USER], "tool_choice": "required", "tools": [TOOL, TOOL]}, "takes one tool, there are 2"),
        ({"messages": [USER], "model": "m" * 2000}, "the name has 2000 characters"),
    ],
)
def test_what_is_wrong_with_a_message_is_told(served, body, told):
    response = served.post("/v1/chat/completions", {**GREEDY, **body})
    assert response.status_code == 400
    assert told in response.json()["error"]["message"]
    assert len(response.json()["error"]["message"]) < 300


def test_the_one_tool_that_is_required_is_called(served):
    made = chat(served, USER, tools=[TOOL], tool_choice="required", max_tokens=40).json()["choices"][0]
    assert made["message"]["tool_calls"][0]["function"]["name"] == "now"


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#/nope"}, {"type": "nosuch"}, {"type": "string", "pattern": "["}, {"$ref": "https://x.example/y"},
     {"type": ["string", "null", 5]}],
)  # fmt: skip
def test_a_schema_that_is_none_is_told_and_not_left_out(served, schema):
    response = chat(served, USER, response_format={"type": "json_object", "schema": schema})
    assert response.status_code == 400
    assert "JSON schema cannot be made a grammar" in response.json()["error"]["message"]


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


def test_a_message_keeps_what_templates_read():
    assert message({"role": "tool", "content": "x", "tool_call_id": "c", "name": "n"}) == {
        "role": "tool", "content": "x", "tool_call_id": "c", "name": "n",
    }  # fmt: skip
    assert json.dumps(message({"role": "assistant", "tool_calls": [CALL]}))
