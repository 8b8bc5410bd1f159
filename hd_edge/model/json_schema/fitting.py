"""Whether a value fits a shape: for values that a schema lists, and also restricts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hd_edge.errors import at_most

from .automaton import FITTING
from .shape import MOST_PATTERNS, Schema, Shape, found_in

if TYPE_CHECKING:
    from .known import Known

Fits = Callable[[Any, Schema], bool]


def type_of(value: Any) -> str:
    """JSON's name of a value's type."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    kinds: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def fits_shape(value: Any, shape: Shape, fits: Fits, known: Known) -> bool:
    """Whether it does.

    Args:
        value: JSON.
        shape: The shape.
        fits: The same for schemas.
        known: Of the conversion.
    """
    kind = type_of(value)
    size = len(value) if isinstance(value, (str, list, dict)) else 0
    known.work.spend(4 + (size + shape.entries) // 8, FITTING)
    if shape.types is not None and kind not in shape.types:
        return False
    if shape.values is not None and known.equal(value) not in known.listed(shape.values):
        return False
    if kind == "number":
        return _number(value, shape, known)
    if kind == "string":
        return _string(value, shape, known)
    if kind == "array":
        return _array(value, shape, fits, known)
    return kind != "object" or _object(value, shape, fits, known)


def _number(value: float, shape: Shape, known: Known) -> bool:
    number = Decimal(repr(value))
    known.work.spend(10 * len(shape.multiple), FITTING)
    if (shape.whole and number != int(number)) or any(Fraction(number) % Fraction(step) for step in shape.multiple):
        return False
    low, high = shape.low, shape.high
    if low is not None and (number < low.at or (low.open and number == low.at)):
        return False
    return high is None or number < high.at or (not high.open and number == high.at)


def _string(value: str, shape: Shape, known: Known) -> bool:
    least, most = shape.length
    if len(value) < least or (most is not None and len(value) > most):
        return False
    return all(known.found(one, value) for one in shape.patterns)


def _array(value: list[Any], shape: Shape, fits: Fits, known: Known) -> bool:
    least, most = shape.count
    if len(value) < (least or 0) or (most is not None and len(value) > most):
        return False
    if shape.unique and len({known.equal(one) for one in value}) < len(value):
        return False
    first = shape.first or ()
    schemas = [*first[: len(value)], *[True if shape.items is None else shape.items] * (len(value) - len(first))]
    return all(fits(one, schema) for one, schema in zip(value, schemas, strict=True))


def _object(value: dict[str, Any], shape: Shape, fits: Fits, known: Known) -> bool:
    least, most = shape.members
    if len(value) < least or (most is not None and len(value) > most) or not value.keys() >= set(shape.required):
        return False
    at_most("patterns of names in an object", len(shape.matching), MOST_PATTERNS)
    for name, one in value.items():
        found = found_in(name, shape, known)
        schemas = [inner for text, inner in shape.matching if text in found]
        if name in (shape.properties or {}):
            schemas.append((shape.properties or {})[name])
        elif (rest := shape.rest(found, known)) is not None:
            schemas.append(rest)
        if not all(fits(one, schema) for schema in schemas) or not all(fits(name, schema) for schema in shape.names):
            return False
    return True
