"""Tools in the library: calls held by a grammar, from the beginning or once the model begins one, drafted or not."""

from __future__ import annotations

import json

import llama_cpp
import numpy as np
import pytest
from llama_cpp import LogitsProcessorList
from one_model import ONE

from hd_edge import Llama
from hd_edge.backend.lazy_grammar import LazyGrammar
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import NoDraft
from hd_edge.errors import ConfigError
from hd_edge.model.call_format import HERMES


def tool(name: str, **properties: dict) -> dict:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": f"To {name}.", "parameters": parameters}}


TOOLS = [
    tool("get_weather", city={"type": "string", "maxLength": 20}, unit={"enum": ["celsius", "fahrenheit"]}),
    tool("add", a={"type": "integer"}, b={"type": "integer"}),
    tool("search", words={"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3}),
]
NAMED = {"type": "function", "function": {"name": "add"}}
ASKED = [{"role": "user", "content": "What is the weather in Oslo?"}]
WORDS = ("Oslo", "Rome", "the sea", "birds", "seven", "tomorrow", "a list", "my bike", "rain", "paper")


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    with Llama(str(smollm2_q4_0), exact=True, n_ctx=1024, **ONE) as llm:
        llm.planner.cost = CostCurve.of({n: 1 + n / 50 for n in (1, 2, 4, 8, 16)})  # rows are cheap: drafts pay
        yield llm


def allow(mode: str, *names: str) -> dict:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def says(llm, text: str) -> LogitsProcessorList:
    """A processor under which an answer begins with this text."""
    tokens, place = llm.tokenize(text.encode(), add_bos=False, special=True), []

    def processor(_, scores):
        if len(place) < len(tokens):
            scores[:] = -np.inf
            scores[tokens[len(place)]] = 0
            place.append(1)
        return scores

    return LogitsProcessorList([processor])


def answer(llm, messages=ASKED, **settings):
    made = llm.create_chat_completion(messages, **{"tools": TOOLS, "max_tokens": 150, "temperature": 0.0, **settings})
    choice = made["choices"][0]
    return choice["message"], choice["finish_reason"]


def calls(message) -> list[tuple[str, dict]]:
    made = message.get("tool_calls", [])
    assert len({call["id"] for call in made}) == len(made)
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]


def fits(name: str, arguments: dict) -> bool:
    if name == "get_weather":
        return set(arguments) == {"city", "unit"} and arguments["unit"] in ("celsius", "fahrenheit")
    if name == "add":
        return all(isinstance(arguments[key], int) for key in ("a", "b"))
    return len(arguments["words"]) <= 3


@pytest.mark.parametrize("choice", ["required", NAMED, "auto", "none"])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_drafted_calls_are_plain_calls(llm, choice, temperature):
    settings = {"tool_choice": choice, "temperature": temperature, "seed": 4}
    made = []
    for planner in (NoDraft(), llm.planner):
        llm.reset()
        with llm.drafting(planner):
            message, finish = answer(llm, **settings)
        made.append((message.get("content"), calls(message), finish))
    assert made[0] == made[1]
    if choice in ("required", NAMED):
        assert all(fits(*call) for call in made[0][1])
        assert made[0][2] == "tool_calls"
        assert llm.stats.accepted["context"] > 5  # what the grammar forces
    if choice == NAMED:
        assert {name for name, _ in made[0][1]} == {"add"}
    if choice == "none":
        assert made[0][1] == []


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_call_that_the_model_begins_is_held(llm, temperature):
    made = []
    for planner in (NoDraft(), llm.planner):
        llm.reset()
        with llm.drafting(planner):
            settings = {"temperature": temperature, "seed": 1, "logits_processor": says(llm, "Yes. <tool_call>")}
            message, finish = answer(llm, **settings)
        made.append((message["content"], calls(message), finish))
    assert made[0] == made[1]
    assert made[0][0] == "Yes."
    assert made[0][2] == "tool_calls"
    assert made[0][1]
    assert all(fits(*call) for call in made[0][1])


def test_thirty_conversations_parse(llm):
    for number, word in enumerate(3 * WORDS):
        talk = [{"role": "user", "content": f"Tell me about {word}, number {number}."}]
        message, finish = answer(llm, talk, tool_choice="required", temperature=0.8, seed=number, max_tokens=250)
        assert finish == "tool_calls"
        assert all(fits(*call) for call in calls(message))


def test_one_call_at_a_time_and_a_round_trip(llm):
    message, _ = answer(llm, tool_choice="required", parallel_tool_calls=False)
    assert len(message["tool_calls"]) == 1
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": '{"temperature": 3}'}
    again, finish = answer(llm, [*ASKED, message, result], tool_choice="none", max_tokens=10)
    assert again["content"]
    assert finish == "length"


def test_several_calls_follow_each_other(llm):
    message, _ = answer(llm, tool_choice="required", parallel_tool_calls=True, max_tokens=300)
    *whole, _ = message["tool_calls"]  # the last one may be cut off
    assert whole
    assert all(fits(*call) for call in calls({"tool_calls": whole}))


def test_a_stream_tells_a_call_once(llm):
    whole, finish = answer(llm, tool_choice="required")
    made, deltas = [], []
    chunks = llm.create_chat_completion(
        ASKED, tools=TOOLS, tool_choice="required", max_tokens=150, temperature=0.0, stream=True
    )
    for chunk in chunks:
        deltas.append(chunk["choices"][0]["delta"])
        for call in deltas[-1].get("tool_calls", ()):
            if "id" in call:
                made.append([call["function"]["name"], ""])
            made[call["index"]][1] += call["function"]["arguments"]
    assert deltas[0] == {"role": "assistant"}
    assert chunk["choices"][0]["finish_reason"] == finish
    assert [(name, json.loads(text)) for name, text in made] == calls(whole)
    assert chunk["timings"]["predicted_n"] == llm.stats.tokens


def test_an_answer_of_a_form_may_be_a_call(llm):
    form = {"type": "json_object", "schema": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    for begins, called in (("<tool_call>", True), ('{"', False)):
        message, _ = answer(llm, response_format=form, logits_processor=says(llm, begins), max_tokens=200)
        assert bool(calls(message)) == called
        assert called or set(json.loads(message["content"])) <= {"x"}


def test_a_trigger_with_text_that_the_grammar_forbids_stays_free(llm):
    tokens = llm.vocabulary
    pieces = {token: tokens.piece(token) for token in range(llm.n_vocab())}
    longer = next(
        token for token, piece in pieces.items() if (piece[:1] == b">" and piece[1:].isalnum()) or piece == b"></"
    )
    behind = pieces[longer][1:].decode()
    before = llm.tokenize(b"<tool_call", add_bos=False)
    for allowed, last, begins in ((behind, longer, True), ("y", longer, False), ("y", tokens.of_byte[ord(">")], True)):
        matcher = tokens.matcher(LazyGrammar(f'root ::= "{allowed}z"', HERMES.trigger))
        assert all(matcher.accept(token) and matcher.waiting for token in before)
        assert matcher.accept(last)
        assert matcher.waiting != begins
        assert (sum(matcher.mask()) == llm.n_vocab()) != begins


def test_a_trigger_within_thoughts_is_none(llm):
    call = llm.tokenize(b"<tool_call>", add_bos=False)
    for thoughts, thinking in ((b"a <tool_call> b</think>", True), (b"<think><tool_call></think>", False)):
        matcher = llm.vocabulary.matcher(LazyGrammar('root ::= "x"', HERMES.trigger, thinking=thinking))
        for token in llm.tokenize(thoughts, add_bos=False):
            matcher.accept(token)
        assert matcher.waiting
        for token in call:
            matcher.accept(token)
        assert not matcher.waiting
        assert matcher.allows(llm.vocabulary.of_byte[ord("x")])
        assert not matcher.allows(llm.vocabulary.of_byte[ord("y")])


def test_of_several_tools_some_are_allowed(llm):
    message, finish = answer(llm, tool_choice=allow("required", "add", "search"))
    assert finish == "tool_calls"
    assert {call["function"]["name"] for call in message["tool_calls"]} <= {"add", "search"}
    called = answer(llm, tool_choice=allow("auto", "add"), logits_processor=says(llm, "<tool_call>\n"))[0]
    assert {call["function"]["name"] for call in called["tool_calls"]} == {"add"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tools": [{"type": "function"}]}, r"tools\[0\]"),
        ({"tools": "f"}, "tools is of type str"),
        ({"tools": 5}, "tools is of type int"),
        ({"tool_choice": {"type": "function", "function": {"name": "nope"}}}, "'nope', tools has 'get_weather'"),
        ({"tool_choice": "perhaps"}, "perhaps"),
        ({"tool_choice": allow("auto", "get_weather", "nope")}, "'nope', tools has 'get_weather'"),
        ({"tool_choice": allow("auto")}, "at least one"),
        ({"tool_choice": allow("none", "get_weather")}, "allowed_tools"),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": 3}}, "allowed_tools"),
        ({"tools": [], "tool_choice": "required"}, "tools is empty"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "x"}}}]}, r"tools\[0\].func"),
        ({"reasoning_format": "some"}, "reasoning_format is 'some'"),
        ({"response_format": "json"}, "response_format is json"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
        ({"messages": "hello"}, "messages is of type str"),
    ],
)
def test_what_a_call_gets_wrong(llm, settings, message):
    with pytest.raises(ConfigError, match=message):
        answer(llm, **settings)


# -- text and probabilities ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"stop": ["the", "is"]}, {"max_tokens": 3}, {"temperature": 0.9, "seed": 7}])
def test_the_text_is_that_of_llama_cpp(llm, more):
    for talk in (ASKED, [{"role": "user", "content": "Write emoji and Greek: 🙂🙃 ελληνικά 漢字"}]):
        settings = {"max_tokens": 40, "temperature": 0.0, **more}
        theirs = llm.create_chat_completion(talk, **settings)
        ours = llm.create_chat_completion(talk, reasoning_format="auto", **settings)
        longer = theirs["usage"]["completion_tokens"] - ours["usage"]["completion_tokens"]
        if longer:  # llama_cpp goes beyond max_tokens to the end of a character
            assert ours["usage"]["completion_tokens"] == settings["max_tokens"]
            settings["max_tokens"] += longer
            ours = llm.create_chat_completion(talk, reasoning_format="auto", **settings)
        assert ours["choices"] == theirs["choices"]
        assert ours["usage"]["completion_tokens"] == theirs["usage"]["completion_tokens"]
        chunks = list(llm.create_chat_completion(talk, reasoning_format="auto", stream=True, **settings))
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == theirs["choices"][0]["message"]["content"]
        assert chunks[-1]["choices"][0]["finish_reason"] == theirs["choices"][0]["finish_reason"]


def test_probabilities_are_those_of_llama_cpp(llm, smollm2_q4_0):
    settings = {"max_tokens": 8, "temperature": 0.0, "logprobs": True, "top_logprobs": 3}
    base = llama_cpp.Llama(str(smollm2_q4_0), n_ctx=256, n_threads=1, logits_all=True, flash_attn=True, verbose=False)
    want = base.create_chat_completion(ASKED, **settings)["choices"][0]
    base.close()
    made = llm.create_chat_completion(ASKED, **settings)["choices"][0]
    assert made["message"]["content"] == want["message"]["content"]
    entries = made["logprobs"]["content"]
    assert [one["token"] for one in entries] == [one["token"] for one in want["logprobs"]["content"]]
    for one, other in zip(entries, want["logprobs"]["content"], strict=True):
        assert one["logprob"] == pytest.approx(other["logprob"], abs=0.1)
        assert bytes(one["bytes"]).decode() == one["token"]
        assert len(one["top_logprobs"]) == 3
        assert one["top_logprobs"][0]["logprob"] >= one["logprob"]
    with llm.drafting(NoDraft()):
        llm.reset()
        assert llm.create_chat_completion(ASKED, **settings)["choices"][0]["logprobs"]["content"] == entries
    chunks = llm.create_chat_completion(ASKED, stream=True, **settings)
    streamed = [one for chunk in chunks for one in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]]
    assert streamed == entries


def test_probabilities_of_a_model_that_decodes_plainly(mamba, opened):
    plain = opened(Llama(str(mamba), n_ctx=256, n_batch=1, **ONE))
    assert plain._plain_reason
    settings = {"max_tokens": 6, "temperature": 0.0, "logprobs": True, "top_logprobs": 2}
    entries = plain.create_chat_completion(ASKED, **settings)["choices"][0]["logprobs"]["content"]
    assert all(one["logprob"] == one["top_logprobs"][0]["logprob"] < 0 for one in entries)
