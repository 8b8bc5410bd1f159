"""JSON schemas as grammars: names, texts, order, references, alternatives."""

from __future__ import annotations

import json
import logging
import random

import pytest
from grammar_walk import drawn, takes
from schema_grammar import accepts, grammar

from hd_edge import ConfigError
from hd_edge.model.schema import tool_grammar

NASTY = ["a\\b", 'q"uote', "new\nline", "\x01\x1f", "\x7f", "😀", "é\u2028", "", "]", "-^", "\\u0041", "\ud800", "a/b"]


@pytest.mark.parametrize("name", NASTY)
def test_names_and_values_of_any_characters(name):
    spelled = json.dumps(name, ensure_ascii=name == "\ud800")
    for schema in ({"const": name}, {"enum": [1, name]}, {"type": "string", "enum": [name, 3]}):
        assert takes(grammar(schema), spelled)
    assert not takes(grammar({"enum": [name]}), json.dumps(name + "x", ensure_ascii=name == "\ud800"))
    held = grammar({"type": "object", "properties": {name: {"const": 1}}, "required": [name]})
    assert takes(held, f"{{{spelled}:1}}")
    assert not takes(held, f'{{{spelled[:-1]}x":1}}')
    others = grammar({"type": "object", "properties": {name: {"const": 1}}, "additionalProperties": {"const": 2}})
    assert takes(others, f"{{{spelled}:1}}")
    assert not takes(others, f"{{{spelled}:2}}")


def test_a_name_cannot_be_had_by_escapes():
    held = grammar({"properties": {"ab": {"const": 1}}, "additionalProperties": {"const": 2}})
    assert takes(held, '{"ab":1,"ac":2,"abc":2,"a":2}')
    for other in (r'{"\u0061b":2}', r'{"a\u0062":2}', '{"ab":2}'):
        assert not takes(held, other)


@pytest.mark.parametrize(
    "text", ['"a\tb"', '"a\nb"', '"\x00"', '"\\x"', '"\\u12"', r'"\ud800"', r'"\udc00"', '"a', '"a"b"']
)
def test_a_free_text_is_json(text):
    assert not takes(grammar({"type": "string"}), text)


def test_a_free_text_may_be_escaped_in_any_way():
    for text in (r'"\ud83d\ude00"', r'"\u00e9\/\b\f"', '"😀\x7f"'):
        assert takes(grammar({"type": "string"}), text)
        assert not takes(grammar({"type": "string", "minLength": 5}), text)
    assert takes(grammar({"type": "string", "maxLength": 1}), r'"\ud83d\ude00"')


def test_annotations_are_left_alone():
    schema = {"type": "integer", "title": "T", "description": "D", "default": 3, "examples": [1], "deprecated": True}
    schema |= {"readOnly": True, "$schema": "http://json-schema.org/draft-07/schema#", "$id": "x", "$comment": "c"}
    schema |= {"format": "nosuch", "x-order": 3, "nullable": True, "contentEncoding": "base64", "discriminator": {}}
    assert grammar(schema) == grammar({"type": "integer"})


def test_members_come_in_their_order_and_can_be_left_out():
    schema = {"properties": {"b": {"const": 1}, "a": {"const": 2}, "c": {"const": 3}}, "required": ["a"]}
    held = grammar(schema)
    for text in ('{"b":1,"a":2,"c":3}', '{"a":2}', '{"a":2,"c":3}', '{ "b": 1, "a": 2 }'):
        assert takes(held, text)
    for text in ('{"a":2,"b":1}', "{}", '{"a":2,}', '{,"a":2}', '{"a":2,"a":2}', '{"a":2,"d":1}'):
        assert not takes(held, text)


def test_references_go_round():
    node = {
        "type": "object",
        "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}]}},
        "required": ["v", "next"],
    }
    held = {"$ref": "#/$defs/a~1b", "$defs": {"a/b": node}}
    right = {"v": 1, "next": {"v": 2, "next": None}}
    assert accepts(held, right, {"v": 1, "next": 2}) == [True, False]
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["children"],
    }
    assert accepts(tree, {"children": [{"children": []}]}, {"children": [{}]}) == [True, False]


def test_alternatives_that_are_told_apart():
    tagged = [
        {"type": "object", "properties": {"kind": {"const": kind}, "x": {"type": "integer"}}, "required": ["kind"]}
        for kind in ("cat", "dog", "eel")
    ]
    assert accepts({"oneOf": tagged}, {"kind": "dog", "x": 1}, {"kind": "fox"}) == [True, False]
    many = [
        {"type": "object", "properties": {"kind": {"enum": [f"k{i}", f"o{i}"]}}, "required": ["kind"]}
        for i in range(500)
    ]
    assert accepts({"oneOf": many}, {"kind": "o77"}, {"kind": "k500"}) == [True, False]
    by_name = [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]
    assert accepts({"oneOf": by_name}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}) == [True, True, False]
    ranges = [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 4}, {"type": "string", "pattern": "^a"}]
    assert accepts({"oneOf": [*ranges, {"type": "string", "pattern": "^b"}]}, 3, 4, "a", "b", "c") == [True] * 4 + [
        False
    ]


def test_tools_that_are_not_strict_say_what_is_not_held(caplog):
    parameters = {
        "type": "object",
        "properties": {"tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 2}},
        "required": ["tags"],
        "not": {"required": ["x"]},
    }
    with caplog.at_level(logging.WARNING, "hd_edge"):
        held = tool_grammar({"name": "f", "parameters": parameters}, "tools[0].function")
    assert takes(held, '{"tags":["a","a"]}')
    assert not takes(held, '{"tags":["a","a","a"]}')
    assert not takes(held, "{}")
    assert "tools[0].function.parameters: not held" in caplog.text
    assert "uniqueItems" in caplog.text
    with pytest.raises(ConfigError, match="cannot be held"):
        tool_grammar({"name": "f", "parameters": parameters, "strict": True}, "tools[0].function")
    with pytest.raises(ConfigError, match="type is 'x'"):
        tool_grammar({"name": "f", "parameters": {"type": "x"}}, "tools[0].function")


def test_long_texts_and_lists_are_few_rules():
    for schema in (
        {"type": "string", "maxLength": 65_536},
        {"type": "array", "items": {"type": "integer"}, "minItems": 5000, "maxItems": 9000},
    ):
        held = grammar(schema)
        assert len(held) < 4000
        assert drawn(held, random.Random(1), longest=100_000)


def test_many_members_are_no_deep_recursion():
    held = grammar({"type": "object", "maxProperties": 1500})
    assert takes(held, "{" + ",".join(f'"{n}":{n}' for n in range(1500)) + "}")
    assert not takes(held, "{" + ",".join(f'"{n}":{n}' for n in range(1501)) + "}")
    named = {"properties": {f"p{n}": {"type": "boolean"} for n in range(600)}, "required": ["p599"]}
    assert takes(grammar(named), '{"p3":true,"p599":false}')


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        (r"\S", 10_000),
        (r"^\S+$", 10_000),
        ("^[a-z]*$", 100_000),
        (r"^\S+@\S+$", 254),
        (r"^\S+@\S+\.\S+$", 100),
        (r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$", 253),
    ],
)
def test_a_length_that_makes_a_pattern_too_large_is_left_to_the_model_where_a_tool_is_not_strict(pattern, most, caplog):
    value = {"type": "string", "pattern": pattern, "maxLength": most}
    function = {"name": "f", "parameters": {"type": "object", "properties": {"a": value, "b": value}}}
    assert len(tool_grammar(function, "tools[0].function")) < 20_000
    assert "minLength and maxLength beside a pattern" in caplog.text
    with pytest.raises(ConfigError, match="make it smaller"):
        tool_grammar({**function, "strict": True}, "tools[0].function")


def test_a_length_beside_a_pattern_is_held_where_it_can_be(caplog):
    value = {"type": "string", "pattern": "^[a-z]*$", "maxLength": 300}
    held = tool_grammar({"name": "f", "parameters": {"type": "object", "properties": {"a": value}}}, "t")
    assert takes(held, '{"a":"%s"}' % ("x" * 300))
    assert not takes(held, '{"a":"%s"}' % ("x" * 301))
    assert not caplog.records


@pytest.mark.parametrize("keyword", ["maxLength", "maxItems", "maxProperties"])
@pytest.mark.parametrize("most", [2**31 - 1, 2**53 - 1, 10**30])
def test_a_bound_that_no_answer_can_reach_is_none(keyword, most):
    kind = {"maxLength": "string", "maxItems": "array", "maxProperties": "object"}[keyword]
    assert grammar({"type": kind, keyword: most}) == grammar({"type": kind})
    with pytest.raises(ConfigError, match="at most 1000000 are taken"):
        grammar({"type": kind, keyword.replace("max", "min"): most})


@pytest.mark.parametrize(
    "pattern", ["^arn:aws:[a-z0-9:/-]{1,2048}$", r"^[\s\S]{1,4096}$", "^.{0,2048}$", "^.{0,2000}$", "^.{0,1500}$"]
)
def test_a_pattern_too_large_is_left_to_the_model_where_a_tool_is_not_strict(pattern, caplog):
    value = {"type": "string", "pattern": pattern}
    function = {"name": "f", "parameters": {"type": "object", "properties": {"a": value}}}
    assert takes(tool_grammar(function, "t"), '{"a":"x y"}')
    assert "pattern" in caplog.text
    with pytest.raises(ConfigError, match="make it smaller"):
        tool_grammar({**function, "strict": True}, "t")
