"""Calls in the formats of other models, held and read in the library: SmolLM2 with their templates."""

from __future__ import annotations

import json

import pytest
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from one_model import ONE
from templates import CODER, OSS, R1, V31

from hd_edge import Llama

PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "days": {"type": "integer", "maximum": 99, "minimum": 1},
    },
    "required": ["city", "days"],
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
ASKED = [{"role": "user", "content": "What is the weather in Oslo?"}]


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    with Llama(str(smollm2_q4_0), n_ctx=1024, **ONE) as llm:
        yield llm


@pytest.fixture(
    params=[R1.replace("<think>\n", ""), V31.replace("<think>\n", ""), CODER, OSS],
    ids=["deepseek", "deepseek-3.1", "qwen-coder", "harmony"],
)
def templated(request, llm, monkeypatch):
    handler = Jinja2ChatFormatter(request.param, "<|im_end|>", "<|im_start|>").to_chat_handler()
    monkeypatch.setitem(llm._chat_handlers, "chat_template.default", handler)
    monkeypatch.setitem(llm.metadata, "tokenizer.chat_template", request.param)
    monkeypatch.setattr(llm, "chat_format", "chat_template.default")
    llm.__dict__.pop("_kept_template", None)  # it knows the template before
    return llm


def test_a_required_call_and_its_answer(templated):
    settings = {"tools": [TOOL], "temperature": 0.0, "max_tokens": 200, "reasoning_format": "auto"}
    seed = {"temperature": 0.8, "seed": 3}
    made = templated.create_chat_completion(ASKED, tool_choice="required", parallel_tool_calls=False, **settings | seed)
    message = made["choices"][0]["message"]
    assert made["choices"][0]["finish_reason"] == "tool_calls"
    (call,) = message["tool_calls"]
    told = json.loads(call["function"]["arguments"])
    assert (call["function"]["name"], set(told)) == ("weather", {"city", "days"})
    assert 1 <= told["days"] <= 99
    result = {"role": "tool", "tool_call_id": call["id"], "content": "3 degrees"}
    talk = [*ASKED, message, result]
    again = templated.create_chat_completion(talk, **settings | {"tool_choice": "none", "max_tokens": 8})
    assert again["usage"]["completion_tokens"] == 8
    chunks = templated.create_chat_completion(
        ASKED, tool_choice="required", parallel_tool_calls=False, stream=True, **settings | seed
    )
    deltas = [delta for chunk in chunks for delta in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert "".join(delta["function"]["arguments"] for delta in deltas) == call["function"]["arguments"]


def test_a_form_of_an_answer_holds(templated):
    form = {
        "type": "json_object",
        "schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    }
    made = templated.create_chat_completion(ASKED, response_format=form, max_tokens=200, temperature=0.8, seed=1)
    assert isinstance(json.loads(made["choices"][0]["message"]["content"].split("</think>")[-1])["n"], int)
