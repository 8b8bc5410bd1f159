"""``/v1/responses`` as OpenAI's client speaks it: plain, streamed, with calls and forms."""

from __future__ import annotations

import json
import tracemalloc
from typing import Literal

import openai
import pytest
from one_model import ONE
from pydantic import BaseModel

from hd_edge import Llama
from hd_edge.server.errors import RefusedError
from hd_edge.server.kept import KeptResponses

ASKED = "What is the weather in Oslo?"
SETTINGS = {"model": "any", "temperature": 0.0, "max_output_tokens": 12}


class Weather(BaseModel):
    """The weather of a city."""

    city: Literal["Oslo", "Rome"]


CALL = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
TOOL = {"type": "function", "name": "weather", "description": "Weather.", "parameters": Weather.model_json_schema()}


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    return Llama(str(smollm2_q4_0), n_ctx=1024, **ONE)


def test_the_text_is_that_of_a_chat(client):
    made = client.responses.create(input=ASKED, instructions="Be brief.", **SETTINGS)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
    chat = client.chat.completions.create(model="any", messages=messages, temperature=0.0, max_tokens=12)
    assert made.output_text == chat.choices[0].message.content
    assert made.status == made.output[0].status == "incomplete"
    assert made.incomplete_details.reason == "max_output_tokens"
    assert (made.usage.input_tokens, made.usage.output_tokens) == (chat.usage.prompt_tokens, 12)
    parts = [{"role": "user", "content": [{"type": "input_text", "text": ASKED}]}]
    assert client.responses.create(input=parts, instructions="Be brief.", **SETTINGS).output_text == made.output_text


def test_a_stream_is_put_together_by_the_client(client):
    settings = {**SETTINGS, "input": "Say only: yes", "max_output_tokens": 100}
    whole = client.responses.create(**settings)
    assert whole.status == whole.output[0].status == "completed"
    with client.responses.stream(**settings) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    assert events[0].type == "response.created"
    cut = list(client.responses.create(input=ASKED, stream=True, **SETTINGS))
    assert (cut[-1].type, cut[-1].response.status) == ("response.incomplete", "incomplete")
    assert [event.item.status for event in cut if event.type == "response.output_item.done"] == ["incomplete"]
    assert [event.sequence_number for event in cut] == list(range(len(cut)))


def test_a_call_and_its_answer(client):
    settings = {**SETTINGS, "max_output_tokens": 80, "tools": [TOOL]}
    made = client.responses.create(input=ASKED, tool_choice="required", **settings)
    (call,) = made.output
    assert (call.type, call.name, made.status) == ("function_call", "weather", "completed")
    assert Weather.model_validate_json(call.arguments)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "3 degrees"}
    talk = [{"role": "user", "content": ASKED}, call.model_dump(), result]
    assert client.responses.create(input=talk, tool_choice="none", **{**settings, "max_output_tokens": 6}).output_text
    named = {"type": "function", "name": "weather"}
    events = list(client.responses.create(input=ASKED, tool_choice=named, stream=True, **settings))
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(deltas)) == json.loads(call.arguments)
    assert events[-1].response.output[0].arguments == call.arguments
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_some_tools_are_allowed(client):
    tools = [{**TOOL, "name": "other"}, TOOL]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}
    made = client.responses.create(
        input=ASKED, tools=tools, tool_choice=allowed, **{**SETTINGS, "max_output_tokens": 80}
    )
    assert {item.name for item in made.output} == {"weather"}


def test_the_client_parses_a_form(client):
    made = client.responses.parse(input=ASKED, text_format=Weather, **{**SETTINGS, "max_output_tokens": 40})
    assert isinstance(made.output_parsed, Weather)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}, "include"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "nope"}}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"type": "image"}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "a"}]}, "input[0].role"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "image"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": "a"}, CALL, {**CALL, "arguments": {}}]}, "input[2].arguments"),
        ({"input": [CALL, {"type": "function_call_output", "output": 5}]}, "input[1].output"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
        ({"temperature": -1}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "x"}}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
    ],
)
def test_a_mistake_is_named(client, more, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"input": ASKED, **SETTINGS, **more})
    assert caught.value.param == param
    assert "messages" not in str(caught.value)
    assert "response_format" not in str(caught.value)


@pytest.mark.parametrize("items", [[None], ["a"], [{"role": "user", "content": "a"}, 5], {}])
def test_items_that_are_none_are_told_in_words(client, items):
    with pytest.raises(openai.BadRequestError, match="is not a text, or a list of items such as") as caught:
        client.responses.create(**{"input": items, **SETTINGS})
    assert caught.value.param == "input"


def test_no_limit_is_told_how(client):
    with pytest.raises(openai.BadRequestError, match="-1 is below 1: send 1 or more; for no limit, leave it out or"):
        client.responses.create(**{"input": ASKED, **SETTINGS, "max_output_tokens": -1})


def test_a_mistake_in_a_stream_is_named(client):
    form = {"format": {"type": "json_schema", "name": "a", "schema": {"type": "x"}}}
    with pytest.raises(openai.BadRequestError) as caught:
        list(client.responses.create(input=ASKED, text=form, stream=True, **SETTINGS))
    assert caught.value.param == "text.format"


def test_a_mistake_behind_a_response_is_named(client):
    """By its place in this request, whatever was before."""
    first = client.responses.create(input=ASKED, **SETTINGS)
    for item, param in (({"role": "robot", "content": "a"}, "input[1].role"), ({"type": "image"}, "input[1].type")):
        with pytest.raises(openai.BadRequestError) as caught:
            items = [{"role": "user", "content": "a"}, item]
            client.responses.create(input=items, previous_response_id=first.id, **SETTINGS)
        assert caught.value.param == param


def test_a_response_goes_on_from_one_before(client):
    first = client.responses.create(input=ASKED, instructions="Be brief.", **SETTINGS)
    second = client.responses.create(input="And in Rome?", previous_response_id=first.id, **SETTINGS)
    talk = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "And in Rome?"},
    ]
    whole = client.responses.create(input=talk, **SETTINGS)  # instructions are those of one request
    assert second.output_text == whole.output_text
    assert (second.usage.input_tokens, second.previous_response_id) == (whole.usage.input_tokens, first.id)
    *_, last = client.responses.create(input="Why?", previous_response_id=second.id, stream=True, **SETTINGS)
    third = client.responses.create(input="Really?", previous_response_id=last.response.id, **SETTINGS)
    said = [second.output_text, last.response.output_text]
    for question, answer in zip(("Why?", "Really?"), said, strict=True):
        talk += [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
    assert third.output_text == client.responses.create(input=talk, **SETTINGS).output_text
    assert client.responses.retrieve(first.id) == first
    client.responses.delete(first.id)
    gone(lambda: client.responses.retrieve(first.id), None)
    gone(lambda: client.responses.delete(first.id), None)
    gone(lambda: client.responses.create(input="a", previous_response_id=first.id, **SETTINGS), "previous_response_id")
    assert client.responses.retrieve(third.id).output_text == third.output_text


def gone(call, param):
    with pytest.raises(openai.NotFoundError) as caught:
        call()
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", param)


def test_a_call_is_answered_by_its_response(client):
    settings = {**SETTINGS, "max_output_tokens": 80, "tools": [TOOL]}
    made = client.responses.create(input=ASKED, tool_choice="required", **settings)
    result = {"type": "function_call_output", "call_id": made.output[0].call_id, "output": "3 degrees"}
    settings["max_output_tokens"] = 6
    got = client.responses.create(input=[result], previous_response_id=made.id, tool_choice="none", **settings)
    talk = [{"role": "user", "content": ASKED}, made.output[0].model_dump(), result]
    assert got.output_text == client.responses.create(input=talk, tool_choice="none", **settings).output_text


def test_what_is_not_stored_is_not_there(client):
    made = client.responses.create(input=ASKED, store=False, **SETTINGS)
    assert made.store is False
    gone(lambda: client.responses.retrieve(made.id), None)


def test_what_is_kept_takes_its_bytes_and_no_more():
    """Empty lists take twenty times as much as objects."""
    kept = KeptResponses()
    tracemalloc.start()
    for number in range(10):
        response = json.loads('{"output": [], "metadata": [' + ",".join(["[]"] * 100_000) + "]}")
        kept.keep({"id": f"r{number}", **response}, [])
    del response
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 2 * 10 * 300_000
    assert json.loads(kept.find("r9").document) == {"id": "r9", "output": [], "metadata": [[]] * 100_000}


def test_what_is_kept_is_bounded():
    kept = KeptResponses(most=3, most_bytes=2000)
    for number in range(5):
        kept.keep({"id": f"r{number}", "output": [{"n": number}]}, [{"content": "a"}])
    assert [number for number in range(5) if has(kept, f"r{number}")] == [2, 3, 4]
    assert has(kept, "r2")  # used last
    kept.keep({"id": "r5", "output": []}, [{"content": "b" * 900}])
    kept.keep({"id": "r6", "output": []}, [{"content": "c" * 900}])
    assert [number for number in range(7) if has(kept, f"r{number}")] == [2, 5, 6]
    kept.keep({"id": "r7", "output": []}, [{"content": "d" * 9000}])
    assert not has(kept, "r7")
    assert has(kept, "r6")
    assert kept.find("r2").items == [{"content": "a"}, {"n": 2}]


def has(kept, name):
    try:
        return bool(kept.find(name))
    except RefusedError as error:
        assert error.status == 404
        return False
