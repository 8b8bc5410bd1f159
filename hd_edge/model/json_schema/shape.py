"""One shape of a value: everything that a schema says of it, without references and alternatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hd_edge.errors import ConfigError, refuse

from .numbers import Bound

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .known import Known

Schema = Any  # a dict or a bool
MOST_PATTERNS = 4  # of names of one object's members
TYPES = ("object", "array", "string", "number", "boolean", "null")  # "integer": a number


@dataclass(frozen=True)
class Shape:
    """What holds for a value; a field that is None, or empty, says nothing.

    Attributes:
        types: Names of types, integers aside.
        whole: Numbers are integers.
        values: It is one of these.
        low: Lower end of a number.
        high: Upper end of a number.
        multiple: A number is a multiple of all of these.
        length: Least and most characters of a text.
        patterns: All are found in a text.
        first: Schemas of the first items of an array.
        items: Schema of the others.
        count: Least and most items.
        unique: No two items are equal.
        properties: Schemas of an object's members by name, in order.
        required: Names of members that are there.
        additional: Schema of other members.
        matching: Schemas of members whose name a pattern is found in.
        members: Least and most members.
        names: Schemas of the members' names.
    """

    types: frozenset[str] | None = None
    whole: bool = False
    values: tuple[Any, ...] | None = None
    low: Bound | None = None
    high: Bound | None = None
    multiple: tuple[Decimal, ...] = ()
    length: tuple[int, int | None] = (0, None)
    patterns: tuple[str, ...] = ()
    first: tuple[Schema, ...] | None = None
    items: Schema = None
    count: tuple[int | None, int | None] = (None, None)
    unique: bool = False
    properties: dict[str, Schema] | None = None
    required: tuple[str, ...] = ()
    additional: Schema = None
    matching: tuple[tuple[str, Schema], ...] = ()
    members: tuple[int, int | None] = (0, None)
    names: tuple[Schema, ...] = ()

    @property
    def meant(self) -> frozenset[str]:
        """The types; where none are given, those that its keywords are about, as ``llama-server`` reads it."""
        if self.types is not None:
            return self.types
        if self.values is not None:
            return frozenset(TYPES)
        about = {
            "number": self.low or self.high or self.multiple or self.whole,
            "string": self.length != (0, None) or self.patterns,
            "array": self.first is not None or self.items is not None or self.count != (None, None) or self.unique,
            "object": self.properties is not None
            or self.additional is not None
            or self.members != (0, None)
            or self.required
            or self.matching
            or self.names,
        }
        return frozenset(name for name, says in about.items() if says) or frozenset(TYPES)

    def told(self, number: Callable[[Any], int]) -> Hashable:
        """Equal for equal shapes, the order of properties included.

        Args:
            number: Gives numbers of JSON, as ``Known.as_written`` does.
        """
        numbers = self.low, self.high, self.multiple, self.whole
        texts = self.length, self.patterns
        arrays = number(self.first), number(self.items), self.count, self.unique
        members = number(self.properties), self.required, number(self.additional), self.members
        names = number(self.matching), number(self.names)
        return Shape, self.meant, number(self.values), numbers, texts, arrays, members, names

    @cached_property
    def entries(self) -> int:
        """What it lists."""
        lists = (
            self.values,
            self.properties,
            self.required,
            self.first,
            self.matching,
            self.names,
            self.patterns,
            self.multiple,
        )
        return sum(len(one) for one in lists if one is not None)

    @cached_property
    def closed(self) -> Shape:
        """As it is written: of the types that are meant, without members that are not named."""
        open_ = self.properties is None or self.additional is not None or bool(self.matching)
        return replace(self, types=self.meant, additional=self.additional if open_ else False)


def both(one: Shape, other: Shape, known: Known) -> Shape | None:
    """What holds where both do; None where that is certain to be nothing."""
    known.work.spend(30 + one.entries + other.entries, "joining of alternatives")
    types = one.types if other.types is None else other.types if one.types is None else one.types & other.types
    values = one.values
    if values is None:
        values = other.values
    elif other.values is not None:
        others = known.listed(other.values)
        values = tuple(value for number, value in known.listed(values).items() if number in others)
    if (types is not None and not types) or values == ():
        return None
    return Shape(
        types=types,
        whole=one.whole or other.whole,
        values=values,
        low=innermost(one.low, other.low, lower=True),
        high=innermost(one.high, other.high, lower=False),
        multiple=tuple(dict.fromkeys((*one.multiple, *other.multiple))),
        length=_inside(one.length, other.length),
        patterns=tuple(dict.fromkeys((*one.patterns, *other.patterns))),
        **_arrays(one, other, known),
        unique=one.unique or other.unique,
        **_objects(one, other, known),
        required=tuple(dict.fromkeys((*one.required, *other.required))),
        matching=(*one.matching, *other.matching),
        members=_inside(one.members, other.members),
        names=(*one.names, *other.names),
    )


def innermost(*ends: Bound | None, lower: bool) -> Bound | None:
    """The end of a range that all of these ends leave; None: there is none."""
    bounds = [bound for bound in ends if bound is not None]
    if not bounds:
        return None
    if lower:
        return max(bounds, key=lambda bound: (bound.at, bound.open))
    return min(bounds, key=lambda bound: (bound.at, not bound.open))


def _inside(one: tuple[int, int | None], other: tuple[int, int | None]) -> tuple[int, int | None]:
    most = [end for end in (one[1], other[1]) if end is not None]
    return max(one[0], other[0]), min(most) if most else None


def _arrays(one: Shape, other: Shape, known: Known) -> dict[str, Any]:
    first = None
    if one.first is not None or other.first is not None:
        length = max(len(shape.first or ()) for shape in (one, other))
        first = tuple(all_of(_item(one, place), _item(other, place), known) for place in range(length))
    least = [end for end in (one.count[0], other.count[0]) if end is not None]
    most = [end for end in (one.count[1], other.count[1]) if end is not None]
    count = max(least) if least else None, min(most) if most else None
    return {"first": first, "items": all_of(one.items, other.items, known), "count": count}


def _item(shape: Shape, place: int) -> Schema:
    return shape.first[place] if shape.first is not None and place < len(shape.first) else shape.items


def _objects(one: Shape, other: Shape, known: Known) -> dict[str, Any]:
    properties = None
    if one.properties is not None or other.properties is not None:
        names = dict.fromkeys((*(one.properties or ()), *(other.properties or ())))
        properties = {name: all_of(_member(one, name, known), _member(other, name, known), known) for name in names}
    return {"properties": properties, "additional": all_of(one.additional, other.additional, known)}


def _member(shape: Shape, name: str, known: Known) -> Schema:
    """What a shape says of a member that another one names."""
    if shape.properties is not None and name in shape.properties:
        return shape.properties[name]
    found = any(known.found(text, name) for text, _ in shape.matching)
    return None if found else shape.additional  # where it is found, it is known by its pattern, which is kept


def all_of(one: Schema, other: Schema, known: Known) -> Schema:
    """A schema of what both hold; None says nothing."""
    if one is None or one is True:
        return other if one is None or other is not None else one
    if other is None or other is True:
        return one
    if one is other or known.equal(one) == known.equal(other):
        return other
    return {"allOf": [one, other]}


def nested(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    """Schemas by name."""
    found = schema.get(keyword, {})
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        refuse(ConfigError, f"{keyword} is {str(found)[:60]}, expected an object of schemas")
    return found
