"""One shape of a value: everything that a schema says of it, without references and alternatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from hd_edge.errors import ConfigError, refuse

from .numbers import Bound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from .exclusion import Choice
    from .known import Known

Schema = Any  # a dict or a bool
MOST_PATTERNS = 4  # of names of one object's members
TYPES = ("object", "array", "string", "number", "boolean", "null")  # "integer": a number
ANYTHING = frozenset(TYPES)
JOINING = "joining of alternatives"  # what work is spent on
TELLING = "telling of alternatives apart"

Key = TypeVar("Key", str, tuple[str, ...])


class Seen(dict[str, Schema]):
    """What is written for one schema and fits another, where alternatives are compared; either may be None."""

    def __init__(self, *, written: Schema = None, meant: Schema = None) -> None:
        super().__init__(written=written, meant=meant)


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
        additional: Schemas of members that have no name here, each with patterns: of those where none of these is
            found in the name.
        matching: Schemas of members whose name a pattern is found in.
        members: Least and most members.
        names: Schemas of the members' names.
        choices: Each a ``oneOf``, and which of its alternatives this is: it must not fit another.
        guessed: What ``unevaluated...`` says of others was told from one of several alternatives.
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
    additional: tuple[tuple[tuple[str, ...], Schema], ...] = ()
    matching: tuple[tuple[str, Schema], ...] = ()
    members: tuple[int, int | None] = (0, None)
    names: tuple[Schema, ...] = ()
    choices: tuple[tuple[Choice, int], ...] = ()
    guessed: bool = False

    @property
    def meant(self) -> frozenset[str]:
        """The types; where none are given, those that its keywords are about, as ``llama-server`` reads it."""
        if self.types is not None:
            return self.types
        if self.values is not None:
            return ANYTHING
        about = {
            "number": self.low or self.high or self.multiple or self.whole,
            "string": self.length != (0, None) or self.patterns,
            "array": self.first is not None or self.items is not None or self.count != (None, None) or self.unique,
            "object": self.properties is not None
            or self.additional
            or self.members != (0, None)
            or self.required
            or self.matching
            or self.names,
        }
        return frozenset(name for name, says in about.items() if says) or ANYTHING

    @cached_property
    def typed(self) -> Shape:
        """The same, with the types in words."""
        return self if self.types is not None else replace(self, types=self.meant)

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
        alternatives = self.choices, self.guessed
        return Shape, self.types, number(self.values), numbers, texts, arrays, members, names, alternatives

    @cached_property
    def entries(self) -> int:
        """What it lists."""
        lists = (
            *(self.values, self.properties, self.required, self.first, self.matching, self.names, self.patterns),
            *(self.multiple, self.additional, self.choices),
        )
        return sum(len(one) for one in lists if one is not None)

    def rest(self, found: Collection[str], known: Known) -> Schema:
        """What ``additional`` says of a member that has no name here; None: nothing.

        Args:
            found: Patterns that are found in its name.
            known: Of the conversion.
        """
        schema: Schema = None
        for patterns, inner in self.additional:
            known.work.spend(1 + len(patterns) // 8, JOINING)
            if not any(one in found for one in patterns):
                schema = all_of(schema, inner, known)
        return schema


def both(one: Shape, other: Shape, known: Known) -> Shape | None:
    """What holds where both do; None where that is certain to be nothing."""
    known.work.spend(30 + one.entries + other.entries, JOINING)
    types = one.types if other.types is None else other.types if one.types is None else one.types & other.types
    values = one.values
    if values is None:
        values = other.values
    elif other.values is not None:
        others = known.listed(other.values)
        values = tuple(value for number, value in known.listed(values).items() if number in others)
    choices = dict(one.choices)
    if (
        (types is not None and not types)
        or values == ()
        or any(choices.setdefault(choice, place) != place for choice, place in other.choices)
    ):
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
        matching=_joined(one.matching, other.matching, known),
        members=_inside(one.members, other.members),
        names=(*one.names, *other.names),
        choices=tuple(choices.items()),
        guessed=one.guessed or other.guessed,
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
    return {"properties": properties, "additional": _joined(one.additional, other.additional, known)}


def _member(shape: Shape, name: str, known: Known) -> Schema:
    """What a shape says of a member that another one names, its patterns aside, which are kept."""
    if shape.properties is not None and name in shape.properties:
        return shape.properties[name]
    return shape.rest(found_in(name, shape, known), known) if shape.additional else None


def found_in(name: str, shape: Shape, known: Known) -> set[str]:
    """The patterns of members' names that are found in a name."""
    return {text for text, _ in shape.matching if known.found(text, name)}


def _joined(
    one: tuple[tuple[Key, Schema], ...], other: tuple[tuple[Key, Schema], ...], known: Known
) -> tuple[tuple[Key, Schema], ...]:
    """Both lists of schemas, those of the same key in one."""
    found = dict(one)
    for key, schema in other:
        found[key] = all_of(found.get(key), schema, known)
    return tuple(found.items())


def all_of(one: Schema, other: Schema, known: Known) -> Schema:
    """A schema of what both hold; None says nothing."""
    if one is None or one is True:
        return other if one is None or other is not None else one
    if other is None or other is True:
        return one
    if one is False or other is False:
        return False
    if one is other or known.equal(one) == known.equal(other):
        return other
    if isinstance(one, Seen) and isinstance(other, Seen):
        written, meant = (all_of(one[key], other[key], known) for key in ("written", "meant"))
        alike = known.equal(written) == known.equal(meant)
        return Seen(written=written, meant=None if alike else meant)  # all that is written is meant
    return {"allOf": [one, other]}


def nested(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    """Schemas by name."""
    found = schema.get(keyword, {})
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        refuse(ConfigError, f"{keyword} is {str(found)[:60]}, expected an object of schemas")
    return found
