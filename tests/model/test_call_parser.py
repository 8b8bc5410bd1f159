"""Answers read piece by piece: every way to cut them gives the same message."""

from __future__ import annotations

import json

import pytest
from answers import cuts, read
from grammar_walk import takes
from llama_cpp import LlamaGrammar

from hd_edge.backend.gbnf import parse
from hd_edge.errors import ConfigError
from hd_edge.model.call_format import GENERIC, HERMES, LLAMA3, MISTRAL, MISTRAL_ARGS, PHI
from hd_edge.model.call_grammar import call_grammar, with_root
from hd_edge.model.call_parser import AnswerParser
from hd_edge.model.schema import tool_grammar

TWO = [("add", '{"a": 1, "b": [2, "}"]}'), ("say", '{"text": "a \\"word\\"</tool_call> {"}')]
ANSWERS = [
    (HERMES, '<tool_call>\n{"name": "add", "arguments": %s}\n</tool_call>\n<tool_call>\n'
             '{"name": "say", "arguments": %s}\n</tool_call>', None),
    (HERMES, 'I add.\n\n<tool_call>{"name": "add", "arguments": %s}</tool_call>'
             '<tool_call>{"name":"say","arguments":%s}</tool_call>', "I add."),
    (HERMES, '<tool_call>{"arguments": %s, "name": "add"}</tool_call>\n'
             '<tool_call>{"name": "say", "parameters": %s}</tool_call>\nDone.', "Done."),
    (MISTRAL, '[TOOL_CALLS] [{"name": "add", "arguments": %s}, {"name": "say", "arguments": %s}]', None),
    (MISTRAL, 'Well. [TOOL_CALLS][{"id": "123456789", "name": "add", "arguments": %s},'
              '{"name": "say", "arguments": %s, "id": "x"}]', "Well."),
    (MISTRAL_ARGS, "[TOOL_CALLS]add[ARGS]%s[TOOL_CALLS]say[CALL_ID]12[ARGS]%s", None),
    (LLAMA3, '{"name": "add", "parameters": %s}; {"name": "say", "parameters": %s}', None),
    (LLAMA3, '<|python_tag|>{"type": "function", "name": "add", "parameters": %s};{"name": "say", "parameters": %s}',
     None),
    (PHI, '<|tool_call|>{"name": "add", "arguments": %s}<|/tool_call|><|tool_call|>'
          '{"name": "say", "arguments": %s}<|/tool_call|>', None),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("form", "text", "content"), ANSWERS)
def test_calls_of_every_format(form, text, content, seed):
    message = read(AnswerParser(form), cuts(text % tuple(arguments for _, arguments in TWO), seed))
    assert message.get("content") == content
    assert [(name, json.loads(arguments)) for name, arguments in message["calls"]] == [
        (name, json.loads(arguments)) for name, arguments in TWO
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("form", "text"),
    [
        (None, "plain <tool_call> text \n"),
        (HERMES, "a < b <tool_ and so on  \n"),
        (HERMES, "one\n\ntwo"),
        (HERMES, "<tool_call>\nno call\n</tool_call>"),
        (HERMES, '<tool_call>{"name": 3}</tool_call>'),
        (HERMES, "<tool_call>"),
        (LLAMA3, '{"names": ["a"]}'),
        (LLAMA3, "{not a call} " * 9),
        (LLAMA3, "  text"),
        (MISTRAL, "[TOOL_CALLS"),
        (MISTRAL, "[TOOL_CALLS] nothing"),
    ],
)
def test_what_is_no_call_stays_text(form, text, seed):
    assert read(AnswerParser(form), cuts(text, seed)) == {"calls": [], "content": text}


@pytest.mark.parametrize("seed", range(5))
def test_thoughts_come_apart(seed):
    call = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    answer = f"<think>\nA call? <tool_call> maybe\n\n</think>\n\nWell.\n{call}"
    want = {"reasoning_content": "A call? <tool_call> maybe", "content": "Well.", "calls": [["f", "{}"]]}
    assert read(AnswerParser(HERMES, reasoning=True), cuts(answer, seed)) == want
    opened = AnswerParser(HERMES, reasoning=True, thinking=True)
    assert read(opened, cuts(answer.removeprefix("<think>"), seed)) == want
    whole = read(AnswerParser(None), cuts(answer, seed))
    assert whole["content"] == answer
    unfinished = read(AnswerParser(None, reasoning=True), cuts("<think>\nIt never", seed))
    assert unfinished == {"calls": [], "reasoning_content": "It never"}
    assert read(AnswerParser(None, reasoning=True), cuts(" <thin air", seed))["content"] == " <thin air"


def test_a_call_that_is_cut_off_has_what_was_said():
    for stop in ('<tool_call>{"name": "f", "arguments": {"a": "b', '<tool_call>\n{"name": "f", "arguments": {"a": "b'):
        assert read(AnswerParser(HERMES), [stop])["calls"] == [["f", '{"a": "b']]


def tool(name: str, parameters: dict | None) -> dict:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


@pytest.mark.parametrize("form", [GENERIC, HERMES, MISTRAL, MISTRAL_ARGS, LLAMA3, PHI])
@pytest.mark.parametrize("after_opening", [True, False])
def test_grammars_keep_the_rules_of_tools_apart(form, after_opening):
    item = {"$defs": {"Item": {"enum": ["x"]}}, "type": "object", "properties": {"é": {"$ref": "#/$defs/Item"}}}
    other = json.loads(json.dumps(item).replace('"x"', '"y"'))
    tools = {0: tool("one", item), 2: tool("two", other), 3: tool("three", None)}
    text = call_grammar(form, tools, tool_grammar, parallel=True, after_opening=after_opening)
    rules = dict(line.split(" ::= ", 1) for line in with_root(text, thinking=False).splitlines())
    assert len(rules) == with_root(text, thinking=False).count("\n") + 1  # no rule is defined twice
    for place, word, other in ((0, "x", "y"), (2, "y", "x")):
        said = " ".join(rule for name, rule in rules.items() if name.startswith(f"t{place}-"))
        assert f'\\"{word}\\"' in said
        assert f'\\"{other}\\"' not in said
    LlamaGrammar.from_string(text)


def test_many_tools_fit_into_a_grammar():
    properties = {f"field_{n}": {"type": "string", "description": "d" * 50} for n in range(8)}
    properties |= {"limit": {"type": "integer", "minimum": 0, "maximum": 10_000}, "mode": {"enum": ["a", "b", None]}}
    tools = {place: tool(f"tool_{place}", {"type": "object", "properties": properties}) for place in range(100)}
    text = with_root(call_grammar(HERMES, tools, tool_grammar, parallel=True), thinking=False, may_think=True)
    assert parse(text, "root", lambda _: -1)


def test_a_schema_of_a_tool_that_cannot_hold_is_named():
    with pytest.raises(ConfigError, match=r"tools\[1\].function.parameters: .* cannot be made a grammar") as caught:
        call_grammar(HERMES, {1: tool("f", {"type": "nosuch"})}, tool_grammar, parallel=True)
    assert caught.value.param == "tools[1].function.parameters"


@pytest.mark.parametrize("function", [{}, {"parameters": {}}, {"parameters": None}, {"parameters": {}, "strict": True}])
def test_a_tool_without_parameters_takes_no_arguments(function):
    text = tool_grammar({"name": "now", **function}, "tools[0].function")
    for arguments, fits in (("{}", True), ("{ }", False), ('{"a": 1}', False), ('{"": {}}', False)):
        assert takes(text, arguments) is fits
