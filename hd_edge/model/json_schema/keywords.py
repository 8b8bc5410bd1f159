"""What the keywords of one schema say, references and combinations aside."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hd_edge.errors import ConfigError, at_most, refuse

from .formats import FORMATS
from .numbers import Bound
from .shape import TYPES, Shape, innermost, nested

if TYPE_CHECKING:
    from .known import Known

MOST_TIMES = 1_000_000  # minItems, maxLength, ...


def own_shape(schema: dict[str, Any], known: Known) -> Shape:
    """The shape that the schema's own keywords give.

    Args:
        schema: The schema.
        known: Of the conversion.

    Raises:
        ConfigError: A keyword has a value that it cannot have, or that is too large.
    """
    low, high = _bounds(schema)
    first, items = _items(schema)
    values = _values(schema, known)
    types, whole = _types(schema)
    matching = nested(schema, "patternProperties")
    others = schema.get("additionalProperties")
    patterns = tuple(_patterns(schema))
    for text in (*patterns, *matching):
        known.pattern(text)
    return Shape(
        types=types,
        whole=whole,
        values=values,
        low=low,
        high=high,
        multiple=_multiple(schema),
        length=(_count(schema, "minLength") or 0, _count(schema, "maxLength")),
        patterns=patterns,
        first=first,
        items=items,
        count=(_count(schema, "minItems"), _count(schema, "maxItems")),
        unique=schema.get("uniqueItems") is True,
        properties=nested(schema, "properties") if "properties" in schema else None,
        required=_required(schema),
        additional=() if others is None else (((*matching,), others),),
        matching=tuple(matching.items()),
        members=(_count(schema, "minProperties") or 0, _count(schema, "maxProperties")),
        names=(schema["propertyNames"],) if "propertyNames" in schema else (),
    )


def _types(schema: dict[str, Any]) -> tuple[frozenset[str] | None, bool]:
    if "type" not in schema:
        return None, False
    given = schema["type"]
    names: Sequence[Any] = [given] if isinstance(given, str) else given
    known = (*TYPES, "integer")
    if not isinstance(names, list) or not names or any(name not in known for name in names if _hashable(name)):
        refuse(ConfigError, f"type is {str(given)[:60]!r}, expected one or some of {', '.join(known)}")
    whole = "integer" in names and "number" not in names
    return frozenset("number" if name == "integer" else name for name in names), whole


def _hashable(name: Any) -> bool:
    if not isinstance(name, str):
        refuse(ConfigError, f"type names {str(name)[:60]}, expected texts")
    return True


def _values(schema: dict[str, Any], known: Known) -> tuple[Any, ...] | None:
    if "enum" in schema:
        found = schema["enum"]
        if not isinstance(found, list) or not found:
            refuse(ConfigError, f"enum is {str(found)[:60]}, expected a list of values")
    elif "const" in schema:
        found = [schema["const"]]
    else:
        return None
    try:
        json.dumps(found, allow_nan=False)
    except ValueError:
        refuse(ConfigError, "enum or const has a number that JSON does not have (NaN or infinity)")
    if "const" in schema:
        number = known.equal(schema["const"])
        return tuple(value for value in found if known.equal(value) == number)
    return tuple(found)


def _number(schema: dict[str, Any], keyword: str) -> Decimal | None:
    value = schema.get(keyword)
    if value is None or isinstance(value, bool):
        if value is None and keyword in schema:
            refuse(ConfigError, f"{keyword} is null, expected a number")
        return None
    if not isinstance(value, (int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        refuse(ConfigError, f"{keyword} is {str(value)[:60]!r}, expected a number")
    return Decimal(repr(value))


def _bounds(schema: dict[str, Any]) -> tuple[Bound | None, Bound | None]:
    ends = []
    for name in ("inimum", "aximum"):
        plain, strict = "m" + name, "exclusiveM" + name
        closed, open_ = _number(schema, plain), _number(schema, strict)
        one = None if closed is None else Bound(closed, open=schema.get(strict) is True)  # true: as in draft 4
        other = None if open_ is None else Bound(open_, open=True)
        ends.append(innermost(one, other, lower=name == "inimum"))
    return ends[0], ends[1]


def _multiple(schema: dict[str, Any]) -> tuple[Decimal, ...]:
    step = _number(schema, "multipleOf")
    if step is None:
        return ()
    if step <= 0:
        refuse(ConfigError, f"multipleOf is {step}, expected a number above 0")
    return (step,)


def _count(schema: dict[str, Any], keyword: str) -> int | None:
    value = schema.get(keyword)
    if value is None and keyword not in schema:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        refuse(ConfigError, f"{keyword} is {str(value)[:60]!r}, expected a number of at least 0")
    if keyword.startswith("max") and value > MOST_TIMES:  # int32's largest, for example: no answer is so long
        return None
    at_most(f"as {keyword}", value, MOST_TIMES)
    if value != int(value):
        refuse(ConfigError, f"{keyword} is {value}, expected an integer")
    return int(value)


def _patterns(schema: dict[str, Any]) -> list[str]:
    found = []
    if "pattern" in schema:
        if not isinstance(schema["pattern"], str):
            refuse(ConfigError, f"pattern is {str(schema['pattern'])[:60]}, expected a text")
        found.append(schema["pattern"])
    known = schema.get("format")
    if isinstance(known, str) and known in FORMATS:
        found.append(FORMATS[known])
    return found


def _items(schema: dict[str, Any]) -> tuple[tuple[Any, ...] | None, Any]:
    """Schemas of the first items and of the others, by their names of 2020-12 or of earlier drafts."""
    first, items = schema.get("prefixItems"), schema.get("items")
    if isinstance(items, list):
        first, items = items, schema.get("additionalItems")
    if first is not None and not isinstance(first, list):
        refuse(ConfigError, f"prefixItems is {str(first)[:60]}, expected a list of schemas")
    return None if first is None else tuple(first), items


def _required(schema: dict[str, Any]) -> tuple[str, ...]:
    names = schema.get("required", [])
    if isinstance(names, bool):  # draft 3: of the member itself
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        refuse(ConfigError, f"required is {str(names)[:60]}, expected a list of names")
    return tuple(names)
