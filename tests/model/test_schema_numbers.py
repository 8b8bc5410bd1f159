"""Bounds of numbers in JSON schemas, number by number."""

from __future__ import annotations

from decimal import Decimal

import pytest
from grammar_walk import takes
from schema_grammar import accepts, grammar

from hd_edge.backend.gbnf import parse


@pytest.mark.parametrize(
    ("low", "high", "strict"),
    [
        (-12, 113, False),
        (0, 9, False),
        (-105, -7, True),
        (7, 1005, True),
        (-1, 1, False),
        (0, 0, False),
        (99, 100, True),
    ],
)
def test_integers_within_bounds(low, high, strict):
    schema = {"type": "integer"}
    schema |= (
        {"exclusiveMinimum": low - 1, "exclusiveMaximum": high + 1} if strict else {"minimum": low, "maximum": high}
    )
    held = grammar(schema)
    for number in range(low - 130, high + 130):
        assert takes(held, str(number)) == (low <= number <= high)
    assert not any(takes(held, text) for text in ("01", "-", "", "1.0", "+1", "-0", "1e1"))


@pytest.mark.parametrize(
    "schema", [{"minimum": 12}, {"exclusiveMinimum": 11}, {"minimum": 11.5}, {"minimum": 11, "exclusiveMinimum": True}]
)
def test_integers_with_one_bound(schema):
    held = grammar({"type": "integer", **schema})
    assert [number for number in range(-30, 130) if takes(held, str(number))] == list(range(12, 130))
    assert takes(held, "9007199254740991")


@pytest.mark.parametrize(
    ("low", "high"), [("0", "1"), ("-1.5", "2.25"), ("0.125", "0.25"), ("-20.5", "-3"), ("9.99", "100")]
)
@pytest.mark.parametrize("strict", [False, True])
def test_decimals_within_bounds(low, high, strict):
    ends = ("exclusiveMinimum", "exclusiveMaximum") if strict else ("minimum", "maximum")
    held = grammar({"type": "number", ends[0]: float(low), ends[1]: float(high)})
    first, last = Decimal(low), Decimal(high)
    step = Decimal("0.005")
    number = first - 50 * step
    while number < first + 200 * step:
        within = first < number < last if strict else first <= number <= last
        for text in {f"{number.normalize():f}", str(number)}:
            assert takes(held, text) == within, text
        number += step
    assert takes(held, high) == (not strict)
    beyond = last + Decimal("0.0001")
    assert not takes(held, str(beyond))


def test_numbers_are_read_within_their_bounds():
    held = grammar({"type": "number", "exclusiveMaximum": 1})
    assert not takes(held, "0." + "9" * 17)  # a double reads it as 1.0
    held = grammar({"type": "number", "exclusiveMinimum": 0.30000000000000004})
    assert not takes(held, "0.30000000000000003")
    assert not takes(held, "0.30000000000000005")  # the same double
    assert takes(held, "0.3000000000000001")


def test_long_bounds_are_not_rounded():
    least, most = 10**40 + 1, 10**41 + 7
    held = grammar({"type": "integer", "minimum": least, "maximum": most})
    assert [takes(held, str(number)) for number in (least - 1, least, most, most + 1)] == [False, True, True, False]
    held = grammar({"allOf": [{"type": "integer", "minimum": least}, {"minimum": least + 1}], "maximum": most})
    assert [takes(held, str(least + more)) for more in range(2)] == [False, True]
    for far in (1e300, 1.7976931348623157e308):
        held = grammar({"type": "number", "minimum": -far, "maximum": far})
        assert [takes(held, text) for text in ("1" * 60, "-0.5", "1e301", "-1e301")] == [True, True, False, False]
        assert parse(held, "root", lambda _: -1)
    step = 10**35 + 3
    held = grammar({"type": "integer", "multipleOf": step, "minimum": 0, "maximum": 3 * step})
    assert [takes(held, str(number)) for number in (3 * step, 3 * step + 1)] == [True, False]
    assert accepts({"multipleOf": 2, "const": 1e300}, 1e300) == [True]
