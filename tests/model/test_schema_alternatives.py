"""What is written for one alternative of ``oneOf`` fits no other, and all parts of ``allOf`` hold at once."""

from __future__ import annotations

import jsonschema
import pytest
from grammar_walk import takes
from schema_grammar import accepts, grammar

from hd_edge import ConfigError
from hd_edge.model.json_schema.writer import grammar_of, text_grammar_of

TEXT = {"type": "string"}
INTEGER = {"type": "integer"}
OBJECT = {"type": "object"}
NULLABLE = {"type": ["object", "null"]}


def of(**properties):
    return {"type": "object", "properties": properties}


def tagged(tag, schema):
    return {**schema, "properties": {"k": {"const": tag}}, "required": ["k"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {"oneOf": [{**of(email=TEXT), "required": ["email", "consent"]}, of(email=TEXT, phone=TEXT)]},
            {"email": "a", "consent": 1},
        ),
        (
            {
                "oneOf": [
                    {"type": "array", "prefixItems": [INTEGER, INTEGER]},
                    {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
                ]
            },
            [],
        ),
        ({"oneOf": [{**OBJECT, "minProperties": 1}, of(b=False)]}, {"c": 1}),
        ({"oneOf": [of(a={**OBJECT, "minProperties": 1}), of(a=of(b=False), c=True)]}, {"a": {"c": 1}}),
        ({"oneOf": [{**OBJECT, "minProperties": 1}, {**of(a=False), "minProperties": 2}]}, {"x": 1, "y": 2}),
        ({"oneOf": [tagged("a", NULLABLE), tagged("b", NULLABLE)]}, None),
        ({"oneOf": [{"enum": [{"a": 1}], **of()}, {**OBJECT, "required": ["a"]}]}, {"a": 1}),
        ({"type": ["string", "number"], "oneOf": [{"minimum": 3}, TEXT]}, "abc"),
        (
            {**of(y=INTEGER), "required": ["y"], "oneOf": [of(x=INTEGER), {**of(z=INTEGER), "required": ["y"]}]},
            {"y": 1},
        ),
        (
            {
                "additionalProperties": True,
                "oneOf": [{**of(a=True), "required": ["a"]}, {**of(b=True), "required": ["b"]}],
            },
            {"a": 1, "b": 1},
        ),
        (
            {
                "oneOf": [
                    {**of(a=True, b=True), "required": ["a", "b"]},
                    {**OBJECT, "anyOf": [of(a=True), of(b=True)], "unevaluatedProperties": False},
                ]
            },
            {"a": 1, "b": 1},
        ),
        (
            {"oneOf": [{"type": "number"}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-20}]},
            1e-21,
        ),
        ({"oneOf": [INTEGER, {"const": 1, "enum": [1.0]}]}, 1),
        ({"oneOf": [{"anyOf": [{"minimum": 3}, {"type": "number", "minimum": 3}]}, TEXT]}, "abc"),
        (
            {
                "oneOf": [
                    {**of(k1=True), "patternProperties": {"^k": {"minimum": 3}}},
                    {**of(k1=True), "required": ["k1"], "patternProperties": {"^k": TEXT}},
                ]
            },
            {"k1": "a"},
        ),
        ({**OBJECT, "propertyNames": {"oneOf": [{"pattern": "^a"}, {"pattern": "b$"}]}}, None),
    ],
    ids=range(16),
)
def test_alternatives_that_one_text_may_fit_are_refused(schema, value):
    if "oneOf" in schema:
        assert sum(jsonschema.Draft202012Validator(one).is_valid(value) for one in schema["oneOf"]) == 2
    with pytest.raises(ConfigError, match="oneOf: a value may fit alternatives 0 and 1"):
        grammar_of(schema)


def test_alternatives_are_compared_as_they_are_written_within_their_surroundings():
    ends = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], **of(a=True, b=True)}
    with pytest.raises(ConfigError, match="oneOf"):
        grammar_of(ends)
    only = {"oneOf": [{"properties": {"a": False}}, {"properties": {"a": True}, "required": ["a"]}], **of(a=INTEGER)}
    assert accepts(only, {"a": 1}, {}, {"a": "x"}) == [True, True, False]
    assert accepts({"enum": [1, 2, 3], "oneOf": [{"minimum": 2}, {"minimum": 3}]}, 1, 2, 3) == [False, True, False]
    pairs = {"oneOf": [{"type": "array", "prefixItems": [one, one]} for one in (INTEGER, TEXT)]}
    assert accepts(pairs, [1, 2], ["a", "b"], []) == [True, True, False]
    twice = {"allOf": [{"oneOf": [INTEGER, TEXT]}, {"oneOf": [INTEGER, TEXT]}]}
    assert accepts(twice, 1, "a", None) == [True, True, False]


def test_names_and_texts_are_of_one_alternative():
    names = {**OBJECT, "propertyNames": {"oneOf": [{"maxLength": 1}, {"minLength": 3}]}}
    assert accepts(names, {"a": 1}, {"ab": 1}, {"abc": 1}) == [True, False, True]
    either = {"oneOf": [{"pattern": "^a"}, {"pattern": "b$"}]}
    with pytest.raises(ConfigError, match="oneOf"):
        text_grammar_of(either, "<")
    found, notes = text_grammar_of(either, "<", loose=True)
    assert takes(found, "ab")
    assert "oneOf" in notes[0]


def test_a_keyword_that_is_left_out_still_says_which_types_are_meant():
    found, notes = grammar_of({"minProperties": 20}, loose=True)
    assert [takes(found, one) for one in ('{"a":1}', '"a"', "1")] == [True, False, False]
    assert len(notes) == 1
    assert "minProperties" in notes[0]


def test_a_list_of_fewer_items_than_are_named_keeps_to_its_other_keywords():
    items = {"type": "array", "prefixItems": [INTEGER] * 3, "maxItems": 2}
    assert accepts(items, [1, 1], [1]) == [True, False]
    with pytest.raises(ConfigError, match="uniqueItems"):
        grammar_of({**items, "uniqueItems": True})


@pytest.mark.parametrize("closed", [False, INTEGER], ids=["false", "schema"])
def test_additional_properties_hold_for_what_only_another_part_knows(closed):
    part = {**of(id=INTEGER), "required": ["id"], "additionalProperties": closed}
    patterns = {**OBJECT, "patternProperties": {"^x-": {"minimum": 3}}}
    for parts in ([part, patterns], [patterns, part]):
        schema = {"allOf": parts}
        validator = jsonschema.Draft202012Validator(schema)
        values = [{"id": 1}, {"id": 1, "x-a": True}, {"id": 1, "x-a": 5}, {"id": 1, "x-a": 2}, {"id": 1, "y": 1}]
        assert accepts(schema, *values) == [validator.is_valid(value) for value in values]
    assert accepts({"allOf": [part, of(id=INTEGER, more=True)]}, {"id": 1, "more": True}) == [False]
    named = {"allOf": [part, {**patterns, "required": ["x-a"]}]}
    if closed is False:
        with pytest.raises(ConfigError, match="no value that can be written fits"):
            grammar(named)
    else:
        assert accepts(named, {"id": 1, "x-a": 5}, {"id": 1, "x-a": True}) == [True, False]


def test_each_part_knows_its_own_patterns():
    parts = [
        {**OBJECT, "patternProperties": {f"^{name}": schema}, "additionalProperties": {"type": ["integer", "string"]}}
        for name, schema in (("a", {"maximum": 3}), ("b", {"type": "integer"}))
    ]
    schema = {"allOf": parts}
    validator = jsonschema.Draft202012Validator(schema)
    values = [{name: value} for name in ("a", "b", "c") for value in (1, 5, "x", True, None)]
    assert accepts(schema, *values) == [validator.is_valid(value) for value in values]
