"""Formats of calls that are no JSON, or stand in marks of their own: templates, grammars and answers of each."""

from __future__ import annotations

import json
import random

import jsonschema
import pytest
from answers import cuts, read
from grammar_walk import drawn, takes
from templates import CALL, CODER, OSS, R1, TALK, TOOL, TWICE, V31, made, written

from hd_edge.errors import ConfigError
from hd_edge.model.call_format import DEEPSEEK, DEEPSEEK_31, HARMONY, HERMES, LLAMA3, MISTRAL, PHI, QWEN_CODER
from hd_edge.model.call_grammar import call_grammar, in_channels, with_root
from hd_edge.model.call_parser import AnswerParser
from hd_edge.model.harmony import HarmonyParser
from hd_edge.model.schema import schema_grammar, tool_grammar
from hd_edge.model.xml_arguments import xml_grammar

PARAMETERS = {
    "type": "object",
    "$defs": {"Unit": {"enum": ["C", "F"]}},
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "unit": {"$ref": "#/$defs/Unit"},
        "mode": {"type": "string", "enum": ["a <b>", "x\ny"]},
        "note": {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
    },
    "required": ["city", "days"],
}
TOOLS = {
    0: {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}},
    1: {"type": "function", "function": {"name": "stop", "parameters": {"type": "object", "properties": {}}}},
}
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS.values()}


def test_each_template_has_its_format():
    for template, form, own in (
        (R1, DEEPSEEK, True),
        (V31, DEEPSEEK_31, False),
        (CODER, QWEN_CODER, True),
        (OSS, HARMONY, True),
    ):
        found = made(template)[0]
        assert (found.form.name, found.form.start, found.form.own) == (form.name, form.start, own)
        assert found.takes_parallel == (form is not HARMONY)
        assert found.in_channels == (form is HARMONY)


def test_calls_of_before_are_written_by_the_template():
    assert 'function<｜tool▁sep｜>weather\n```json\n{"city": "Oslo"}\n```' in written(R1, TALK, [TOOL])
    assert "<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>" in written(CODER, TALK, [TOOL])
    assert 'to=functions.weather<|channel|>commentary json<|message|>{"city": "Oslo"}<|call|>' in written(
        OSS, TALK, [TOOL]
    )
    text = written(V31, TALK, [TOOL])
    assert text.startswith("## Tools\nYou have access to the following tools:\n\n" + json.dumps(TOOL))
    assert "<｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments<｜tool▁call▁end｜>" in text
    assert '<｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>' in text
    assert written(R1, TWICE, [TOOL]).count("<｜tool▁call▁begin｜>") == 2
    assert written(OSS, TWICE, [TOOL]).count("<tool_call>") == 2  # the template would drop the second one


ARGUMENTS = json.loads(CALL["function"]["arguments"])
ANSWERS = [
    (DEEPSEEK, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
     "{\"city\": \"Oslo\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>stop\n```json\n{}\n```"
     "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
    (DEEPSEEK_31, '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>'
     "<｜tool▁call▁begin｜>stop<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
    (QWEN_CODER, "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>\n"
     "<tool_call>\n<function=stop>\n</function>\n</tool_call>"),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("before", ["", "I look.\n"])
@pytest.mark.parametrize(("form", "text"), ANSWERS, ids=[form.name for form, _ in ANSWERS])
def test_answers_are_read(form, text, before, seed):
    message = read(AnswerParser(form, schemas=SCHEMAS), cuts(before + text, seed))
    assert message.get("content") == (before.strip() or None)
    assert [(name, json.loads(told)) for name, told in message["calls"]] == [("weather", ARGUMENTS), ("stop", {})]


@pytest.mark.parametrize("seed", range(5))
def test_elements_are_texts_or_json_by_their_schemas(seed):
    text = (
        "<tool_call>\n<function=weather>\n<parameter=city>\n42\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
        "<parameter=mode>\nx\ny\n</parameter>\n<parameter=note>\nnull\n</parameter>\n"
        '<parameter=tags>\n["a"]\n</parameter>\n<parameter=code>\nif a < b:\n'
        "    </p>\n</parameter>\n</function>\n</tool_call>"
    )
    ((name, told),) = read(AnswerParser(QWEN_CODER, schemas=SCHEMAS), cuts(text, seed))["calls"]
    want = {"city": "42", "days": 3, "mode": "x\ny", "note": None, "tags": ["a"], "code": "if a < b:\n    </p>"}
    assert (name, json.loads(told)) == ("weather", want)
    broken = "<tool_call>\n<funct"
    assert read(AnswerParser(QWEN_CODER), cuts(broken, seed)) == {"calls": [], "content": broken}


THOUGHT = "<|channel|>analysis<|message|>Look <at> it.<|end|><|start|>assistant"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("<|channel|>final<|message|>Rain | <wet>.<|return|>", {"content": "Rain | <wet>.", "calls": []}),
        (THOUGHT + "<|channel|>final<|message|>Rain.", {"reasoning_content": "Look <at> it.", "content": "Rain."}),
        (
            THOUGHT + '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Oslo"}<|call|>',
            {"reasoning_content": "Look <at> it.", "calls": [["weather", '{"city": "Oslo"}']]},
        ),
        (' to=functions.weather<|channel|>commentary json<|message|>{"a": 1}', {"calls": [["weather", '{"a": 1}']]}),
        (
            "<|channel|>commentary<|message|>First.<|end|><|start|>assistant<|channel|>commentary to=functions.stop "
            "<|constrain|>json<|message|>{}",
            {"content": "First.", "calls": [["stop", "{}"]]},
        ),
        ('{"a": "plain"}', {"content": '{"a": "plain"}'}),
        ("<|channel|>ana", {}),
    ],
)
def test_channels_are_read(text, want, seed):
    assert read(HarmonyParser(reasoning=True), cuts(text, seed)) == {"calls": [], **want}


def test_thoughts_stay_in_the_text_where_nobody_asked_for_them_apart():
    got = read(HarmonyParser(reasoning=False), [THOUGHT + "<|channel|>final<|message|>Rain."])
    assert got == {"calls": [], "content": "<think>Look <at> it.</think>\nRain."}


FORMS = [HERMES, MISTRAL, LLAMA3, PHI, DEEPSEEK, DEEPSEEK_31, QWEN_CODER, HARMONY]


def arguments_of(form):
    if not form.xml:
        return tool_grammar
    return lambda function, param: xml_grammar(function, param, schema_grammar)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("parallel", [True, False])
def test_what_a_grammar_holds_is_read_as_calls_that_fit(form, parallel):
    rules = call_grammar(form, TOOLS, arguments_of(form), parallel=parallel and not form.single)
    held = with_root(rules, thinking=False, channels=form is HARMONY)
    found = 0
    for seed in range(40):
        text = drawn(held, random.Random(seed), longest=3000)
        if text is None:
            continue
        parser = HarmonyParser(reasoning=True) if form is HARMONY else AnswerParser(form, schemas=SCHEMAS)
        message = read(parser, cuts(text, seed % 4))
        assert "content" not in message
        assert message["calls"]
        assert parallel or len(message["calls"]) == 1
        for name, told in message["calls"]:
            jsonschema.validate(json.loads(told), SCHEMAS[name])
        found += 1
    assert found > 10


def test_forms_of_answers_stand_in_the_final_channel():
    held = in_channels(None, schema_grammar({"type": "integer"}, "response_format"))
    for text in ("<|channel|>final<|message|>5", THOUGHT + "<|channel|>final<|message|>5"):
        assert takes(held, text)
    for text in ("5", "<|channel|>final<|message|>a", THOUGHT + "5"):
        assert not takes(held, text)


def test_a_strict_function_is_held_in_elements_too():
    function = {"name": "f", "parameters": {"properties": {"a": {"type": "array", "uniqueItems": True}}}}
    assert "<parameter=a>" in xml_grammar(function, "tools[0].function", schema_grammar)
    with pytest.raises(ConfigError, match=r"tools\[0\].function.parameters.properties.a: .*uniqueItems"):
        xml_grammar({**function, "strict": True}, "tools[0].function", schema_grammar)


def test_separators_of_lines_in_a_listed_value_cut_no_rule():
    function = {"name": "f", "parameters": {"properties": {"a": {"enum": ["x\u2028y", "x\x85z"]}}}}
    text = xml_grammar(function, "tools[0].function", schema_grammar)
    for value in ("x\u2028y", "x\x85z"):
        assert takes(text, f"<parameter=a>\n{value}\n</parameter>\n")
