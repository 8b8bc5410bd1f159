"""OpenAI's API as its own client speaks it: shapes of messages, forms of answers, and what a mistake is called."""

from __future__ import annotations

import json
from typing import Literal

import openai
import pytest
from one_model import ONE
from pydantic import BaseModel

from hd_edge import Llama

USER = {"role": "user", "content": "Tell me about rivers."}
GREEDY = {"model": "any", "temperature": 0.0, "max_tokens": 12}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
BROKEN_SCHEMAS = (
    {"$ref": "#/nope"},
    {"type": "nosuch"},
    {"type": "string", "pattern": "["},
    {"$ref": "https://example.org/schema.json"},
    {"type": ["string", "null", 5]},
    {"type": "array", "items": False, "minItems": 1},
    {"type": "string", "pattern": "(?=a)"},
    {"type": "array", "uniqueItems": True},
    {"if": {"type": "string"}, "then": {"minLength": 2}},
)


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    return Llama(str(smollm2_q4_0), n_ctx=1024, **ONE)


@pytest.fixture(scope="module")
def served(llm, serve):
    return serve(llm, "little/model")


def say(client, *messages, **more):
    return client.chat.completions.create(messages=list(messages), **{**GREEDY, **more})


def text(client, *messages, **more):
    return say(client, *messages, **more).choices[0].message.content


def mistake(client, *messages, **more):
    with pytest.raises(openai.BadRequestError) as caught:
        say(client, *messages, **more)
    assert caught.value.type == "invalid_request_error"
    return caught.value


def test_parts_of_text_are_one_text(client):
    parts = [{"type": "text", "text": "Tell me"}, {"type": "text", "text": "about rivers."}]
    assert text(client, {"role": "user", "content": parts}) == text(
        client, {"role": "user", "content": "Tell me\nabout rivers."}
    )
    assert text(client, {"role": "user", "content": [{"type": "text", "text": USER["content"]}]}) == text(client, USER)


def test_a_developer_is_the_system(client):
    orders = "Answer in one word."
    assert text(client, {"role": "developer", "content": orders}, USER) == text(
        client, {"role": "system", "content": orders}, USER
    )


@pytest.mark.parametrize("content", [{"content": None}, {}, {"content": ""}])
def test_a_turn_of_a_tool_comes_back(client, content):
    asked = {"role": "assistant", "tool_calls": [CALL], **content}
    done = say(client, USER, asked, {"role": "tool", "tool_call_id": "call_1", "content": "Rain."})
    assert done.usage.completion_tokens == 12


class Person(BaseModel):
    name: str
    kind: Literal["child", "adult"]
    age: int | None


def test_the_client_parses_an_answer_into_a_class(client):
    done = client.chat.completions.parse(messages=[USER], response_format=Person, **{**GREEDY, "max_tokens": 120})
    assert isinstance(done.choices[0].message.parsed, Person)


def test_a_schema_holds_with_either_name(client):
    schema = {"type": "object", "properties": {"n": {"enum": [3, 4]}}, "required": ["n"]}
    forms = (
        {"type": "json_schema", "json_schema": {"name": "number", "strict": True, "schema": schema}},
        {"type": "json_object", "schema": schema},
    )
    for form in forms:
        assert json.loads(text(client, USER, response_format=form, max_tokens=40))["n"] in (3, 4)
    assert text(client, USER, response_format={"type": "text"}) == text(client, USER)


@pytest.mark.parametrize("schema", BROKEN_SCHEMAS)
def test_a_schema_that_cannot_hold_is_a_mistake(client, schema):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    found = mistake(client, USER, response_format=form)
    assert found.param == "response_format"
    assert "cannot be made a grammar" in str(found)
    assert mistake(client, USER, response_format={"type": "json_object", "schema": schema}).param == "response_format"


@pytest.mark.parametrize(
    ("messages", "param", "message"),
    [
        ([{"role": "robot", "content": "a"}], "messages[0].role", "'tool' or 'function'"),
        ([USER, {"role": "user", "content": None}], "messages[1]", "'user' needs content, it has none"),
        ([{"role": "user", "content": 3}], "messages[0].content", "3 is not a text, a list of parts"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0]", "'image_url'"),
        ([{"role": "assistant", "tool_calls": [{}]}], "messages[0].tool_calls[0].function", "required"),
        ([], "messages", "at least 1 item"),
    ],
)
def test_a_wrong_message_is_named(client, messages, param, message):
    found = mistake(client, *messages)
    assert found.param == param
    assert message in str(found)
    assert "ChatCompletion" not in str(found)


@pytest.mark.parametrize(
    ("more", "param", "message"),
    [
        ({"temperature": -1}, "temperature", "-1 is below 0: send 0 or more"),
        ({"tool_choice": "maybe"}, "tool_choice", "'maybe' is not 'none', 'auto', 'required'"),
        ({"tool_choice": "required"}, "tool_choice", "tools is empty"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice", "there are none"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "'json_schema'"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "needs a field json_schema"),
        ({"top_logprobs": 2}, "top_logprobs", "needs logprobs=true"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", "pattern"),
    ],
)
def test_a_wrong_field_is_named(client, more, param, message):
    found = mistake(client, USER, **more)
    assert found.param == param
    assert message in str(found)


def test_null_is_left_out(client):
    nothing = dict.fromkeys(("n", "top_p", "stop", "seed", "tools", "tool_choice", "response_format", "logit_bias"))
    assert say(client, USER, extra_body=nothing).choices[0].message.content == text(client, USER)


def test_no_tokens_are_asked_for(client):
    done = say(client, USER, max_tokens=0)
    assert (done.choices[0].message.content, done.choices[0].finish_reason) == ("", "length")
    assert (done.usage.completion_tokens, done.usage.total_tokens) == (0, done.usage.prompt_tokens)
    chunks = list(say(client, USER, max_tokens=0, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].finish_reason == "length"
    assert chunks[-1].usage.completion_tokens == 0
    done = client.completions.create(model="any", prompt="One, two,", max_tokens=0, echo=True)
    assert done.choices[0].text == "One, two,"


def test_a_stream_counts_as_a_whole_answer(client):
    one_word = {"role": "user", "content": "Say only: yes"}
    for more in ({"max_tokens": 60}, {"max_tokens": 4}, {"max_tokens": 60, "stop": ["e"]}):
        whole = say(client, one_word, **more)
        *_, last = say(client, one_word, stream=True, stream_options={"include_usage": True}, **more)
        assert last.usage.completion_tokens == whole.usage.completion_tokens
        assert last.usage.prompt_tokens == whole.usage.prompt_tokens
    assert whole.choices[0].finish_reason == "stop"
    prompt = "<|im_start|>user\nSay only: yes<|im_end|>\n<|im_start|>assistant\n"
    settings = {"model": "any", "prompt": prompt, "temperature": 0.0, "max_tokens": 60}
    whole = client.completions.create(**settings)
    *_, last = client.completions.create(**settings, stream=True, stream_options={"include_usage": True})
    assert whole.choices[0].finish_reason == "stop"  # at the end of the answer, which is no text
    assert last.usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize("more", [{}, {"logprobs": 2}, {"echo": True}])
def test_a_stream_of_a_completion_is_the_whole_of_it(client, more):
    settings = {"model": "any", "prompt": "Emoji: 🙂🙃 and", "temperature": 0.0, "max_tokens": 20, **more}
    whole = client.completions.create(**settings).choices[0]
    choices = [chunk.choices[0] for chunk in client.completions.create(stream=True, **settings)]
    assert "".join(choice.text for choice in choices) == whole.text
    assert choices[-1].finish_reason == whole.finish_reason
    assert whole.text.startswith(settings["prompt"]) == ("echo" in more)
    if "logprobs" in more:
        told = [choice.logprobs for choice in choices if choice.logprobs]
        assert [one for part in told for one in part.token_logprobs] == whole.logprobs.token_logprobs
        assert len(whole.logprobs.tokens) == 20


def test_a_model_by_its_name(client):
    assert client.models.retrieve("little/model").id == "little/model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("another")
    assert caught.value.code == "model_not_found"


def test_vectors(tiny, serve):
    vectors = tiny(embedding=True, pooling_type=1, n_ctx=64)
    ids = vectors.tokenize(b"the cat")  # as they are: with the beginning that a text gets
    with serve(vectors, "vectors").openai() as client:
        made = client.embeddings.create(model="any", input=["the cat", "a dog"])  # asks for base64
        plain = client.embeddings.create(model="any", input="the cat", encoding_format="float")
        tokens = client.embeddings.create(model="any", input=[ids, ids], encoding_format="float")
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(model="any", input="the cat", dimensions=3)
    assert made.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-3)
    assert made.data[0].embedding != pytest.approx(made.data[1].embedding)
    assert [one.embedding for one in tokens.data] == [pytest.approx(plain.data[0].embedding, abs=1e-3)] * 2
    assert caught.value.param == "dimensions"
