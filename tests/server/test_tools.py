"""Tools, thoughts and probabilities over HTTP, as OpenAI's client takes them."""

from __future__ import annotations

import json
from typing import Literal

import openai
import pytest
from one_model import ONE
from pydantic import BaseModel

from hd_edge import Llama
from hd_edge.model.chat_template import ChatTemplate

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": PARAMETERS}}
ASKED = {"role": "user", "content": "What is the weather in Oslo?"}
GREEDY = {"model": "any", "temperature": 0.0, "max_tokens": 120}


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    return Llama(str(smollm2_q4_0), n_ctx=2048, **ONE)


def ask(client, *messages, **more):
    return client.chat.completions.create(messages=[ASKED, *messages], **{**GREEDY, "tools": [WEATHER], **more})


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "string"},
        {"type": ["array", "null"]},
        {"enum": ["a", 1]},
        {"anyOf": [{"type": "string"}, {"const": 1}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}},
    ],
)
@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_parameters_are_those_of_an_object(client, parameters, choice):
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    with pytest.raises(openai.BadRequestError, match="expected a JSON schema of an object") as caught:
        ask(client, tools=[tool], tool_choice=choice)
    assert caught.value.param == "tools[0].function.parameters"


@pytest.mark.parametrize(
    "parameters", [{"properties": {}}, {"type": ["object", "null"]}, {"anyOf": [{"type": "object"}]}]
)
def test_parameters_of_an_object_in_other_words(client, parameters):
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    assert ask(client, tools=[tool], max_tokens=1).choices


def test_an_agent_gets_past_its_first_call(client):
    done = ask(client, tool_choice="required")
    choice = done.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city", "unit"}
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 3}'}
    answer = ask(client, choice.message.model_dump(exclude_none=True), result, tool_choice="none", max_tokens=8)
    assert answer.choices[0].message.content
    assert answer.usage.prompt_tokens > done.usage.completion_tokens
    again = ask(client, choice.message, result, tool_choice="none", max_tokens=8)
    assert again.choices[0].message.content == answer.choices[0].message.content


def test_a_streamed_call_is_put_together_by_the_client(client):
    whole = ask(client, tool_choice={"type": "function", "function": {"name": "weather"}})
    with client.chat.completions.stream(
        messages=[ASKED],
        tools=[openai.pydantic_function_tool(Weather, name="weather")],
        tool_choice="required",
        **GREEDY,
    ) as stream:
        events = list(stream)
        (call,) = stream.get_final_completion().choices[0].message.tool_calls
    assert call.function.name == "weather"
    assert isinstance(call.function.parsed_arguments, Weather)
    assert any(event.type == "tool_calls.function.arguments.delta" for event in events)
    chunks = list(ask(client, tool_choice="required", stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    named = [one.tool_calls[0] for one in deltas if one.tool_calls and one.tool_calls[0].id]
    assert [one.function.name for one in named] == ["weather"]
    text = "".join(one.tool_calls[0].function.arguments for one in deltas if one.tool_calls)
    assert text == whole.choices[0].message.tool_calls[0].function.arguments
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-2].choices[0].finish_reason == "tool_calls"


class Weather(BaseModel):
    """The weather of a city."""

    city: Literal["Oslo", "Rome"]
    unit: Literal["celsius", "fahrenheit"]


def test_several_choices_are_calls_of_their_own(client):
    done = ask(client, tool_choice="required", n=2, temperature=0.9, seed=3)
    for choice in done.choices:
        assert set(json.loads(choice.message.tool_calls[0].function.arguments)) == {"city", "unit"}


def test_some_tools_are_allowed(client):
    other = {"type": "function", "function": {**WEATHER["function"], "name": "other"}}
    subset = {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]}
    allowed = {"type": "allowed_tools", "allowed_tools": subset}
    message = ask(client, tools=[other, WEATHER], tool_choice=allowed).choices[0].message
    assert {call.function.name for call in message.tool_calls} == {"weather"}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}}, "tool_choice"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "x"}}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [], "tool_choice": "required"}, "tool_choice"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_wrong_tool_is_named(client, more, param, stream):
    with pytest.raises(openai.BadRequestError) as caught:
        list(ask(client, stream=stream, **more))
    assert caught.value.param == param


def test_thoughts_come_apart(client, llm, monkeypatch):
    text = (
        llm.metadata["tokenizer.chat_template"]
        + "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}"
    )
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    handler = Jinja2ChatFormatter(text, "<|im_end|>", "<|im_start|>").to_chat_handler()
    monkeypatch.setattr(llm, "chat_handler", handler)
    monkeypatch.setattr(llm, "_kept_template", None, raising=False)
    assert ChatTemplate(llm).writes_prompts
    grammar = 'root ::= "Oslo is far.\\n</think>\\n\\nIt is cold."'
    body = {"grammar": grammar}
    message = ask(client, tools=openai.NOT_GIVEN, extra_body=body).choices[0].message
    assert (message.reasoning_content, message.content) == ("Oslo is far.", "It is cold.")
    chunks = list(ask(client, tools=openai.NOT_GIVEN, extra_body=body, stream=True))
    thought = "".join(getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks)
    assert thought == "Oslo is far."
    plain = ask(client, tools=openai.NOT_GIVEN, extra_body={**body, "reasoning_format": "none"}).choices[0].message
    assert plain.content == "Oslo is far.\n</think>\n\nIt is cold."
    off = {"chat_template_kwargs": {"enable_thinking": False}, "grammar": 'root ::= "Cold."'}
    assert ask(client, tools=openai.NOT_GIVEN, extra_body=off).choices[0].message.content == "Cold."


def test_probabilities(client):
    done = ask(client, tools=openai.NOT_GIVEN, logprobs=True, top_logprobs=2, max_tokens=4)
    entries = done.choices[0].logprobs.content
    assert "".join(entry.token for entry in entries) == done.choices[0].message.content
    assert all(
        len(entry.top_logprobs) == 2 and entry.logprob == entry.top_logprobs[0].logprob <= 0 for entry in entries
    )
    chunks = list(ask(client, tools=openai.NOT_GIVEN, logprobs=True, max_tokens=4, stream=True))
    streamed = [one.token for chunk in chunks if chunk.choices[0].logprobs for one in chunk.choices[0].logprobs.content]
    assert streamed == [entry.token for entry in entries]


@pytest.mark.parametrize("more", [{}, {"parameters": {}}, {"parameters": None}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_without_parameters_is_called_without_arguments(client, more, stream):
    tool = {"type": "function", "function": {"name": "now", "description": "Tells the time in a city.", **more}}
    done = ask(client, tools=[tool], tool_choice="required", stream=stream)
    if stream:
        calls = [call for chunk in done for one in chunk.choices for call in one.delta.tool_calls or ()]
        assert "".join(call.function.arguments for call in calls) == "{}"
    else:
        assert [call.function.arguments for call in done.choices[0].message.tool_calls] == ["{}"]


def older(client, **more):
    return ask(client, **{"tools": openai.NOT_GIVEN, "functions": [WEATHER["function"]], **more})


def test_functions_are_tools_of_an_older_name(client):
    named = {"name": "weather"}
    choice = older(client, function_call=named).choices[0]
    assert choice.finish_reason == "function_call"
    assert (choice.message.content, choice.message.function_call.name) == (None, "weather")
    arguments = choice.message.function_call.arguments
    assert set(json.loads(arguments)) == {"city", "unit"}
    assert choice.message.tool_calls[0].function.arguments == arguments  # as in llama_cpp
    forced = ask(client, tool_choice={"type": "function", "function": named}).choices[0]
    assert forced.message.tool_calls[0].function.arguments == arguments
    chunks = [chunk.choices[0] for chunk in older(client, function_call=named, stream=True)]
    pieces = [chunk.delta.function_call for chunk in chunks if chunk.delta.function_call]
    assert [piece.name for piece in pieces if piece.name] == ["weather"]
    assert "".join(piece.arguments for piece in pieces) == arguments
    assert len([1 for chunk in chunks for call in chunk.delta.tool_calls or () if call.id]) == 1
    assert all(None not in chunk.delta.model_dump(exclude_unset=True).values() for chunk in chunks)
    assert chunks[-1].finish_reason == "function_call"
    told = [choice.message.model_dump(include={"role", "content", "function_call"})]
    told.append({"role": "function", "name": "weather", "content": '{"degrees": 3}'})
    call = {"role": "assistant", "content": None, "tool_calls": [forced.message.tool_calls[0]]}
    result = {"role": "tool", "tool_call_id": call["tool_calls"][0].id, "content": told[1]["content"]}
    answers = [ask(client, *talk, tool_choice="none", max_tokens=8) for talk in (told, [call, result])]
    assert len({answer.choices[0].message.content for answer in answers}) == 1
    assert older(client, function_call="none", max_tokens=4).choices[0].message.content


@pytest.mark.parametrize("more", [{}, {"parameters": None}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_function_without_parameters_is_called_without_arguments(client, more, stream):
    done = older(client, functions=[{"name": "now", **more}], function_call={"name": "now"}, stream=stream)
    if stream:
        pieces = [one.delta.function_call for chunk in done for one in chunk.choices if one.delta.function_call]
        assert "".join(piece.arguments for piece in pieces) == "{}"
    else:
        assert done.choices[0].message.function_call.arguments == "{}"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"functions": [{}]}, "functions[0].name"),
        ({"functions": [{"name": 5}]}, "functions[0].name"),
        ({"functions": [{"name": "a b"}]}, "functions[0].name"),
        ({"functions": [{"name": "f", "parameters": {"type": "x"}}]}, "functions[0].parameters"),
        ({"function_call": {"name": "other"}}, "function_call"),
        ({"function_call": "required"}, "function_call"),
        ({"function_call": {"name": 5}}, "function_call"),
        ({"tools": [WEATHER]}, "functions"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_function_is_named(client, more, param, stream):
    body = {"functions": [WEATHER["function"]], "tools": openai.NOT_GIVEN, "stream": stream, **more}
    with pytest.raises(openai.BadRequestError) as caught:
        list(ask(client, **body))
    assert caught.value.param == param
    told = caught.value.body["message"]
    assert not [word for word in ("Error", "argument", "keyword", "class") if word in told]


TAKEN = ["messages", "tools", "llama", "add_generation_prompt", "bos_token", "eos_token", "strftime_now", "self"]
TAKEN += ["stream", "raise_exception", "functions", "function_call", "temperature", "grammar", "seed", "model"]


@pytest.mark.parametrize("name", [*TAKEN, "namespace", "range"])  # the last two are Jinja's
def test_variables_that_a_template_has_already_are_refused_in_words(client, llm, monkeypatch, name):
    text = "{% set ns = namespace(n=0) %}{% for i in range(1) %}{% endfor %}" + llm.metadata["tokenizer.chat_template"]
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    handler = Jinja2ChatFormatter(text, "<|im_end|>", "<|im_start|>").to_chat_handler()
    monkeypatch.setattr(llm, "chat_handler", handler)
    monkeypatch.setattr(llm, "_kept_template", None, raising=False)
    for more in ({"tools": openai.NOT_GIVEN}, {}):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, extra_body={"chat_template_kwargs": {name: 5}}, **more)
        assert caught.value.param == "chat_template_kwargs"
        told = caught.value.body["message"]
        assert repr(name) in told
        assert "leave it out" in told or "leave out what it lacks" in told
        assert not [word for word in ("Error", "argument", "keyword", "object") if word in told]
    other = {"chat_template_kwargs": {"a b": 1, "enable_thinking": False}}
    assert ask(client, tools=openai.NOT_GIVEN, extra_body=other, max_tokens=2).choices
