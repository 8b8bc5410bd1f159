"""Keywords of JSON schemas: what each allows and forbids."""

from __future__ import annotations

import jsonschema
import pytest
from schema_grammar import accepts

DRAFT, DRAFT_7 = "https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "integer", "multipleOf": 7}, [0, 7, -14, 700], [1, 8, -13]),
        ({"type": "integer", "multipleOf": 4, "minimum": -9, "maximum": 9}, [-8, 0, 8], [-12, 2, 12]),
        ({"type": "number", "multipleOf": 0.25}, [0.25, -1.5, 3, 10.75], [0.1, 0.3, 1.2]),
        ({"type": "number", "multipleOf": 0.01, "minimum": 0}, [0.05, 0.99, 100], [0.001, -1]),
        ({"allOf": [{"multipleOf": 4}, {"type": "integer", "multipleOf": 6}]}, [12, 24], [6, 4, 8]),
        ({"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}}, [[], ["b", "a"]], [["a", "a"]]),
        (
            {"type": "array", "uniqueItems": True, "items": {"type": "boolean"}, "minItems": 2},
            [[True, False]],
            [[True]],
        ),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": False}, [[1]], [[1, 1], [2]]),
        ({"type": "array", "items": [{"const": 1}, {"const": 2}], "additionalItems": {"const": 3}}, [[1, 2, 3]], [[3]]),
        (
            {"type": "array", "items": {"const": 1}, "minItems": 70, "maxItems": 75},
            [[1] * 70, [1] * 75],
            [[1] * 69, [1] * 76],
        ),
        ({"type": "string", "minLength": 100, "maxLength": 130}, ["x" * 100, "é" * 130], ["x" * 99, "x" * 131]),
        ({"type": "string", "maxLength": 0}, [""], ["x"]),
        (
            {"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 1, "maxProperties": 1},
            [{"a": 1}, {"b": 1}],
            [{}, {"a": 1, "b": 1}],
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 1},
            [{}, {"x": 1}],
            [{"x": 1, "y": 2}, {"x": "y"}],
        ),
        ({"type": "object", "minProperties": 1}, [{"x": 1}], [{}]),
        (
            {"patternProperties": {"^n": {"type": "integer"}, "x$": {"minimum": 3}}},
            [{"n": 1, "nx": 3, "x": 4}],
            [{"nx": 2}, {"y": 1}, {"n": "s"}],
        ),
        (
            {
                "patternProperties": {"^n": {"type": "integer"}},
                "additionalProperties": {"const": 0},
                "properties": {"na": {"maximum": 5}},
            },
            [{"na": 5, "b": 0}],
            [{"na": 6}, {"b": 1}],
        ),
        (
            {"type": "object", "propertyNames": {"enum": ["p", "q"]}, "additionalProperties": {"const": 1}},
            [{"p": 1, "q": 1}],
            [{"r": 1}],
        ),
        (
            {
                "type": "object",
                "propertyNames": {"pattern": "^[a-z]+$", "maxLength": 3},
                "additionalProperties": {"const": 1},
            },
            [{"abc": 1}],
            [{"abcd": 1}, {"A": 1}],
        ),
        (
            {"properties": {"a": {}, "b": {}, "c": {}}, "dependentRequired": {"a": ["c"]}},
            [{"b": 1}, {"a": 1, "c": 1}],
            [{"a": 1}, {"a": 1, "b": 1}],
        ),
        (
            {
                "properties": {"a": {}, "b": {"type": "integer"}},
                "dependentSchemas": {"a": {"properties": {"b": {"minimum": 5}}, "required": ["b"]}},
            },
            [{"b": 1}, {"a": 1, "b": 5}],
            [{"a": 1, "b": 4}],
        ),
        ({"type": ["string", "null"], "minLength": 2}, ["ab", None], ["a", 1]),
        ({"minimum": 3}, [3, 4.5], [2, "a"]),
        ({"not": False, "type": "null"}, [None], ["a"]),
        ({"anyOf": [{"not": {}}, {"type": "integer"}]}, [3], ["a"]),
        ({"type": "string", "enum": ["a", "bb", 3], "minLength": 2}, ["bb"], ["a", 3]),
        (
            {"type": "object", "enum": [{"k": 1}, {"k": "x"}], "properties": {"k": {"type": "string"}}},
            [{"k": "x"}],
            [{"k": 1}],
        ),
        ({"enum": [1, True, "1"], "type": "integer"}, [1], [True, "1"]),
        ({"const": 5, "enum": [5, 6]}, [5], [6]),
        (
            {"required": ["b"], "properties": {"b": {}}, "unevaluatedProperties": {"const": 1}},
            [{"b": 2, "c": 1}],
            [{"c": 1}],
        ),
        (
            {"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}}, "unevaluatedProperties": False},
            [{"b": 1, "a": 1}],
            [{"c": 1}],
        ),
        ({"properties": {"a": {}}, "allOf": [{"unevaluatedProperties": False}]}, [{}], [{"a": 1}]),
        ({"const": {"a": 1}, "anyOf": [{}, {"const": 2}], "unevaluatedItems": False}, [{"a": 1}], [2]),
        ({"type": "array", "prefixItems": [{}], "minItems": 0, "unevaluatedItems": False}, [[], [1]], [[1, 2]]),
        ({"type": "array", "unevaluatedItems": {"const": 1}}, [[], [1, 1]], [[2]]),
        ({"type": "object", "unevaluatedProperties": False}, [{}], [{"a": 1}]),
        (
            {"allOf": [{"properties": {"a": {}}, "additionalProperties": False}, {"properties": {"b": {}}}]},
            [{}, {"a": 1}],
            [{"b": 1}],
        ),
        ({"required": ["a"], "properties": {"b": {"const": 1}}}, [{"b": 1, "a": [None]}, {"a": 2}], [{"b": 1}]),
        (
            {"format": "date"},
            ["2024-02-29", "2000-02-29"],
            ["2023-02-29", "2024-13-01", "2024-04-31", "1900-02-29", "0000-01-01"],
        ),
        ({"format": "time"}, ["23:59:59Z"], ["24:00:00Z", "23:60:00Z", "12:00Z"]),
        ({"format": "uuid"}, ["123E4567-e89b-12d3-a456-426614174000"], ["123E4567e89b12d3a456426614174000"]),
    ],
)
def test_keywords(schema, right, wrong):
    assert accepts(schema, *right) == [True] * len(right)
    assert accepts(schema, *wrong) == [False] * len(wrong)
    for value in right:
        jsonschema.validate(value, {"$schema": DRAFT_7 if isinstance(schema.get("items"), list) else DRAFT, **schema})
