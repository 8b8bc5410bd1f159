"""The work of comparing alternatives is counted before it is done, or grows with their sizes, not their product."""

from __future__ import annotations

import pytest

from hd_edge import ConfigError
from hd_edge.model.json_schema import shape
from hd_edge.model.json_schema.shape import Shape, both, canonical, same
from hd_edge.model.json_schema.writer import grammar_of
from hd_edge.model.schema import tool_grammar

VALUES = [1, 1.0, True, False, 0, -0.0, None, "1", "", [1], [1.0], [True], {"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}]


WIDE = {"properties": {f"p{j}": {} for j in range(300)}}


def closed(*names: str) -> dict:
    """An object of these members, all required."""
    found = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": found, "required": list(names), "additionalProperties": False}


def test_equal_values_have_the_same_text_and_no_others():
    for one in VALUES:
        for other in VALUES:
            assert (canonical(one) == canonical(other)) == same(one, other), (one, other)


def test_listed_values_are_looked_up(monkeypatch):
    texts = []
    monkeypatch.setattr(shape, "canonical", lambda value: texts.append(value) or canonical(value))
    monkeypatch.setattr(shape, "same", lambda one, other: pytest.fail(f"{one} and {other} were compared"))
    one, other = Shape(values=tuple(range(500))), Shape(values=tuple(range(499, 1000)))
    merged = both(one, other)
    assert merged is not None
    assert merged.values == (499,)
    assert len(texts) == 1001


def test_alternatives_of_many_values_are_told_apart_without_pairs():
    schema = {"oneOf": [{"enum": [f"v{i}_{j}" for j in range(50)]} for i in range(100)]}
    assert '"v99_49' in grammar_of(schema)[0].replace("\\", "")


@pytest.mark.parametrize("more", [[], [{"type": "null"}]])
def test_closed_objects_are_apart_where_one_requires_what_the_other_does_not_know(more):
    grammar_of({"oneOf": [closed(f"p{i}") for i in range(100)] + more})


def deep(number: int) -> dict:
    """An object whose member's member differs."""
    found: dict = {"type": "integer", "minimum": number * 10, "maximum": number * 10 + 5}
    for name in "abcd":
        found = {**closed(), "properties": {name: found}, "required": [name]}
    return found


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"enum": [*(f"v{i}_{j}" for j in range(300)), "all"]} for i in range(60)]},
        {"oneOf": [deep(i) for i in range(60)]},
        {"oneOf": [{"allOf": [deep(i), WIDE]} for i in range(60)]},
        {
            "allOf": [
                {"properties": {f"long_name_{i}": {} for i in range(1000)}},
                {"patternProperties": {f"^{i}": {} for i in range(1000)}},
            ]
        },
        {"enum": ["a" * 30 + str(i) for i in range(2000)], "pattern": "(a|b){600}c"},
    ],
    ids=["values", "members", "required", "names", "patterns"],
)
def test_too_much_work_is_refused_as_what_it_is(schema):
    with pytest.raises(ConfigError, match="schemas and shapes to read, at most 60000 are taken"):
        grammar_of(schema)


def test_the_patterns_of_names_of_listed_objects_are_counted():
    schema = {"enum": [{f"k{i}": 1 for i in range(9)}], "patternProperties": {f"^z{i}": {} for i in range(9)}}
    with pytest.raises(ConfigError, match="has 9 patterns of names in an object"):
        grammar_of(schema)


@pytest.mark.parametrize(
    "schema", [{"not": {"type": "object"}}, {"description": "anything"}, {"type": ["object", "null"]}]
)
def test_arguments_are_an_object(schema):
    grammar = tool_grammar({"name": "f", "parameters": schema}, "tools[0].function")
    assert grammar == tool_grammar({"name": "f", "parameters": {"type": "object"}}, "tools[0].function")


@pytest.mark.parametrize(
    "schema", [{"type": "array"}, {"enum": [1, []]}, {"allOf": [{"type": "object"}, {"type": "null"}]}]
)
def test_parameters_that_no_object_fits_are_refused(schema):
    with pytest.raises(ConfigError, match=r"tools\[0\].function.parameters: .*expected a JSON schema of an object"):
        tool_grammar({"name": "f", "parameters": schema}, "tools[0].function")
