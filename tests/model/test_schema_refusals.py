"""What no grammar can hold, or what is no schema, is refused in words."""

from __future__ import annotations

import pytest

from hd_edge import ConfigError
from hd_edge.model.json_schema.writer import grammar_of
from hd_edge.model.schema import schema_grammar


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"pattern": "a{5,2}"}, r"the numbers of \{5,2\} are out of order"),
        ({"pattern": "(?=a)b"}, "a lookahead cannot be held"),
        ({"pattern": "(?!a)b"}, "a lookahead cannot be held"),
        ({"pattern": "(?<=a)b"}, "a lookbehind cannot be held"),
        ({"pattern": "(?i)a"}, "such a group cannot be held"),
        ({"pattern": r"(a)\1"}, r"a backreference, \\1, cannot be held"),
        ({"pattern": r"\bword\b"}, "the edge of a word"),
        ({"pattern": "[z-a]"}, "out of order"),
        ({"pattern": "a{,3}"}, r"write \{0,n\}"),
        ({"pattern": "*a"}, "nothing to repeat"),
        ({"pattern": "a**"}, r"put it into \(\?"),
        ({"pattern": "(a"}, "is not closed"),
        ({"pattern": "a)"}, "closes none"),
        ({"pattern": "[a"}, "is not closed"),
        ({"pattern": "a\\"}, "ends with a backslash"),
        ({"pattern": r"\Aabc\Z"}, r"this escape, \\A"),
        ({"pattern": r"\p{Greek}"}, "cannot be held"),
        ({"not": {"type": "string"}}, "not cannot be held"),
        ({"if": {}, "then": {"type": "string"}}, "then cannot be held"),
        ({"contains": {"const": 1}}, "contains cannot be held"),
        ({"type": "array", "uniqueItems": True, "items": {"type": "string"}}, "uniqueItems cannot be held"),
        ({"type": "object", "minProperties": 3}, "minProperties=3 cannot be held"),
        ({"type": "integer", "multipleOf": 7, "minimum": 3}, "give the other one, too"),
        ({"type": "number", "multipleOf": 0.0777}, "give minimum and maximum"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf: a value may fit alternatives 0 and 1"),
        ({"oneOf": [{"properties": {"a": {}}}, {"properties": {"a": {}, "b": {}}}]}, "alternatives 0 and 1"),
        ({"oneOf": [{"required": [f"a{i}"]} for i in range(70)]}, "alternatives 0 and 69"),
        ({"properties": {"x": {"items": {"not": {"const": 1}}}}}, "at #/x/items: not cannot"),
        ({"$ref": "#/$defs/no"}, "refers to nothing"),
        ({"$ref": "https://example.org/a.json"}, "cannot be followed"),
        ({"$ref": "#"}, "refers to itself"),
        ({"$dynamicRef": "#a"}, "dynamicRef cannot be held"),
        ({"type": "strin"}, "type is 'strin', expected one or some of"),
        ({"type": ["string", 5]}, "type"),
        ({"type": []}, "type is"),
        ({"enum": []}, "enum is"),
        ({"enum": "abc"}, "enum is abc"),
        ({"const": float("nan")}, "NaN or infinity"),
        ({"minimum": "3"}, "minimum is '3', expected a number"),
        ({"minLength": -1}, "minLength is '-1'"),
        ({"minItems": 1.5}, "minItems is 1.5"),
        ({"properties": []}, "properties is"),
        ({"properties": {"a": 3}}, "'3' stands where a schema"),
        ({"required": "a"}, "required is a, expected a list"),
        ({"anyOf": []}, "anyOf is"),
        ({"items": "x"}, "'x' stands where a schema"),
        ({"pattern": 3}, "pattern is 3"),
        ({"const": 1, "enum": 5}, "enum is 5"),
        ({"multipleOf": 0}, "multipleOf is 0"),
        (7, "'7' stands where a schema"),
        (False, "no value that can be written fits"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no value that can be written fits"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "no value that can be written fits"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "no value that can be written fits"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "no value that can be written fits"),
        (
            {"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}, "$ref": "#/$defs/a"},
            "no value",
        ),
    ],
)
def test_what_cannot_be_held_is_refused_in_words(schema, message):
    with pytest.raises(ConfigError, match=message):
        grammar_of(schema)
    with pytest.raises(ConfigError, match=r"response_format: .*") as caught:
        schema_grammar(schema, "response_format")
    assert caught.value.param == "response_format"
