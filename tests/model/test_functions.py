"""The older names of tools: what is refused, and how an answer tells a call under both names."""

from __future__ import annotations

import re

import pytest

from hd_edge.errors import ConfigError
from hd_edge.model.functions import as_tools, newer, older, renamed

F = {"name": "f"}


def test_both_have_newer_names():
    tool = {"type": "function", "function": F}
    assert as_tools([F], None) == ([tool], None)
    assert as_tools((F,), "none") == ([tool], "none")
    assert as_tools([F], {"name": "f"}) == ([tool], {"type": "function", "function": F})
    settings = {"functions": [F], "function_call": "auto"}
    assert renamed(settings)
    assert settings == {"tools": [tool], "tool_choice": "auto"}
    settings = {"functions": [], "tools": [tool], "tool_choice": "auto"}
    assert not renamed(settings)
    assert settings == {"tools": [tool], "tool_choice": "auto"}


@pytest.mark.parametrize(
    ("functions", "call", "message", "param"),
    [
        ("f", None, "functions is of type str", "functions"),
        ([F, "f"], None, "functions[1] is f, expected {", "functions[1]"),
        ([{"name": ""}], None, "functions[0] is", "functions[0]"),
        ([F], {"name": "g"}, "names the function 'g', functions has 'f'", "function_call"),
        (None, {"name": "g"}, "functions has none", "function_call"),
        ([F], {}, "function_call is '{}', expected none, auto", "function_call"),
        ([F], "required", "function_call is 'required'", "function_call"),
    ],
)
def test_what_is_wrong_is_named(functions, call, message, param):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        as_tools(functions, call)
    assert caught.value.param == param


def test_one_call_has_both_names():
    def calls(*functions):
        made = [{"index": place, "function": function} for place, function in enumerate(functions)]
        return {"choices": [{"delta": {"tool_calls": made}, "finish_reason": None}]}

    end = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
    chunks = older(chunk for chunk in (calls({"name": "f", "arguments": ""}, {"name": "g"}), end))
    first, last = chunks
    assert first["choices"][0]["delta"]["function_call"] == {"name": "f", "arguments": ""}
    assert last["choices"][0]["finish_reason"] == "function_call"


def test_messages_have_newer_names():
    call = {"name": "f", "arguments": "{}"}
    asked = {"role": "assistant", "content": "", "function_call": call}
    gave = {"role": "function", "name": "f", "content": "3"}
    made = {"id": "call_0", "type": "function", "function": call}
    told = {**gave, "role": "tool", "tool_call_id": "call_0"}
    assert newer([asked, gave]) == [{"role": "assistant", "content": "", "tool_calls": [made]}, told]
    both = {**asked, "tool_calls": [{**made, "id": "x"}]}
    assert [message.get("tool_call_id") for message in newer([both, gave])] == [None, "x"]
    assert newer([{**asked, "function_call": None}]) == [{"role": "assistant", "content": ""}]
