"""The work of comparing alternatives is counted before it is done, or grows with their sizes, not their product."""

from __future__ import annotations

import pytest

from hd_edge import ConfigError
from hd_edge.model.json_schema.known import Known
from hd_edge.model.json_schema.shape import Seen, Shape, both
from hd_edge.model.json_schema.work import Work
from hd_edge.model.json_schema.writer import grammar_of
from hd_edge.model.schema import tool_grammar

EQUAL = [
    *[[1, 1.0], [True], [False], [0, -0.0], [None], ["1"], [""], [[1], [1.0]], [[True]], [[]], [{}]],
    [{"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}],
]


WIDE = {"properties": {f"p{j}": {} for j in range(300)}}


def closed(*names: str) -> dict:
    """An object of these members, all required."""
    found = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": found, "required": list(names), "additionalProperties": False}


def test_equal_values_have_the_same_number_and_no_others():
    known = Known(Work())
    for one, alike in enumerate(EQUAL):
        for other, others in enumerate(EQUAL):
            assert all((known.equal(a) == known.equal(b)) == (one == other) for a in alike for b in others)


def test_schemas_are_the_same_as_they_are_written():
    known = Known(Work())
    told = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1.0, "b": 2}, {"a": True, "b": 2}, {"a": "1", "b": 2}]
    assert len({known.as_written(one) for one in told}) == len(told)
    assert known.as_written(told[0]) == known.as_written({"a": 1, "b": 2})
    assert known.as_written(Seen(written=True)) != known.as_written({"written": True, "meant": None})


def test_listed_values_are_looked_up():
    known = Known(Work())
    one, other = Shape(values=tuple(range(500))), Shape(values=tuple(range(499, 1000)))
    merged = both(one, other, known)
    assert merged is not None
    assert merged.values == (499,)
    assert known.work.spent < 5000


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
        {"oneOf": [{"enum": [*(f"v{i}_{j}" for j in range(300)), "all"]} for i in range(80)]},
        {"oneOf": [deep(i) for i in range(60)]},
        {"oneOf": [{"allOf": [deep(i), WIDE]} for i in range(60)]},
        {
            "allOf": [
                {"properties": {f"long_name_{i}": {} for i in range(1000)}},
                {"patternProperties": {f"^{i}": {} for i in range(1000)}, "additionalProperties": False},
            ]
        },
        {"enum": ["a" * 400 + str(i) for i in range(600)], "allOf": [{"pattern": f"a{{{i}}}"} for i in range(12)]},
    ],
    ids=["values", "members", "required", "names", "patterns"],
)
def test_too_much_work_is_refused_as_what_it_is(schema):
    with pytest.raises(ConfigError, match=r"steps of work or more, .*, at most 1000000 are taken"):
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
