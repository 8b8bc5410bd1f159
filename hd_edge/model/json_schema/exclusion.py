"""``oneOf``: what tells alternatives apart, of what is written for one and what another means.

Both differ: an object with named members is written without others, a list of first items with all of them, a value
without a type is of those that its keywords are about. And what is written for an alternative is known only where all
that stands around ``oneOf`` is: so a shape keeps which alternative it is until then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hd_edge.errors import SchemaError, refuse

from .shape import PLAIN, TYPES, Schema, Seen, Shape, both, searched

if TYPE_CHECKING:
    from .fitting import Fits
    from .reading import Reader

PAIR = 14  # the work of telling two small shapes apart where that takes a look into them: some 0.2 ms
ANYTHING = frozenset(TYPES)


@dataclass(frozen=True, eq=False)
class Choice:
    """One ``oneOf``.

    Attributes:
        number: Another for each.
        branches: The shapes of each alternative.
        apart: Types whose values never fit two of them.
    """

    number: int
    branches: list[list[Shape]]
    apart: frozenset[str]

    def __str__(self) -> str:
        return f"oneOf {self.number}"

    def others(self, place: int) -> list[tuple[int, Shape]]:
        """The shapes of the other alternatives, each with the place of its own."""
        return [(at, shape) for at, branch in enumerate(self.branches) if at != place for shape in branch]


def choice_of(number: int, branches: list[list[Shape]]) -> Choice:
    """A ``oneOf`` of these shapes."""
    return Choice(number, branches, apart_at_once(branches))


def apart_at_once(branches: list[list[Shape]]) -> frozenset[str]:
    """The types whose values do not fit two branches, as far as that is seen without pairs."""
    shapes = [shape for branch in branches for shape in branch]
    if all(shape.values is not None for shape in shapes):
        return ANYTHING if _disjoint([[list(shape.listed) for shape in branch] for branch in branches]) else frozenset()
    tagged = any(
        _disjoint([[_tags(shape, name) for shape in branch] for branch in branches])
        for name in (shapes[0].required if shapes else ())
    )
    if not tagged:
        return frozenset()
    return ANYTHING if all(shape.types == frozenset({"object"}) for shape in shapes) else frozenset({"object"})


def _disjoint(branches: list[list[list[str]]]) -> bool:
    """Whether each branch has texts, in all of its shapes, that no other has."""
    seen = set[str]()
    for branch in branches:
        here = {text for texts in branch for text in texts}
        if not all(branch) or here & seen:
            return False
        seen |= here
    return True


def _tags(shape: Shape, name: str) -> list[str]:
    """The texts that a member of an object has; none: it has others, or may be left out."""
    schema = (shape.properties or {}).get(name)
    if name not in shape.required or not isinstance(schema, dict):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return values if isinstance(values, list) and all(isinstance(value, str) for value in values) else []


def plainly_apart(one: Shape, other: Shape) -> bool:
    """Whether what is written for one shape is seen not to fit the other, without a look into its members."""
    kinds = one.meant if other.types is None else one.meant & other.types
    if not kinds:
        return True
    if one.values is not None and other.values is not None:
        return one.listed.keys().isdisjoint(other.listed)
    if kinds != {"object"}:
        return False
    return (not other.guessed and _knows_not(other, one.required)) or _knows_not(written(one), other.required)


def _knows_not(shape: Shape, required: tuple[str, ...]) -> bool:
    """Whether one of these members cannot be there."""
    if not any(schema is False and not patterns for patterns, schema in shape.additional):
        return False
    return any(name not in (shape.properties or {}) for name in required)


def written(shape: Shape) -> Shape:
    """What is written for a shape, with all in words that it leaves unsaid."""
    if shape.values is not None:  # those that fit it
        return meant(shape)
    properties, additional = shape.properties, shape.additional
    if not additional:
        if properties is not None:
            properties = {**dict.fromkeys(shape.required, True), **properties}
        elif shape.matching:
            properties = dict.fromkeys(shape.required, True)
        closed = properties is not None
        additional = (((*dict(shape.matching),), False),) if closed else (((), True),)
    least, most = shape.count
    if least is None:
        named = len(shape.first or ())
        least = named if most is None else min(named, most)
    items = shape.items if shape.items is not None else shape.first is None
    return _seen(
        replace(
            shape, types=shape.meant, properties=properties, additional=additional, items=items, count=(least, most)
        ),
        written=True,
    )


def meant(shape: Shape) -> Shape:
    """What a shape means, with all in words that it leaves unsaid."""
    guessed = shape.guessed
    return _seen(
        replace(
            shape,
            types=ANYTHING if shape.types is None else shape.types,
            additional=(((), True),) if guessed or not shape.additional else shape.additional,
            items=True if guessed or shape.items is None else shape.items,
            count=(shape.count[0] or 0, shape.count[1]),
        ),
        written=False,
    )


def _seen(shape: Shape, *, written: bool) -> Shape:
    """The same shape, whose parts are seen as it is itself."""

    def part(schema: Schema) -> Schema:
        if schema is None or isinstance(schema, bool):
            return schema
        return Seen(written=schema) if written else Seen(meant=schema)

    return replace(
        shape,
        first=None if shape.first is None else tuple(map(part, shape.first)),
        items=part(shape.items),
        properties=None if shape.properties is None else {name: part(one) for name, one in shape.properties.items()},
        additional=tuple((patterns, part(one)) for patterns, one in shape.additional),
        matching=tuple((text, part(one)) for text, one in shape.matching),
        choices=(),
        guessed=False,
    )


SEEN = {"written": written, "meant": meant}


class Comparison:
    """Compares shapes of one document.

    Args:
        reader: Counts the work.
        listed: Gives all values of a schema; None: there are too many.
        fits: Whether a value fits a schema.
        nothing: Whether no value fits a shape.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        listed: Callable[[Schema], list[Any] | None],
        fits: Fits,
        nothing: Callable[[Shape], bool],
    ) -> None:
        self._reader, self._listed, self._fits, self._nothing = reader, listed, fits, nothing

    def keep_apart(self, shape: Shape) -> None:
        """``oneOf``: what is written for one alternative must not fit another.

        Raises:
            SchemaError: It may.
        """
        for choice, place in shape.choices:
            if shape.meant <= choice.apart:
                continue
            others = choice.others(place)
            self._reader.spend(len(others) * (8 + 2 * shape.entries) // PLAIN)
            left = [(at, other) for at, other in others if not plainly_apart(shape, other)]
            self._reader.spend(sum(max(PAIR, shape.size + other.size) for _, other in left))
            for at, other in left:
                if not self._apart(shape, other):
                    first, second = sorted((at, place))
                    refuse(
                        SchemaError,
                        f"oneOf: a value may fit alternatives {first} and {second}; use anyOf, or tell them apart",
                    )

    def _apart(self, one: Shape, other: Shape) -> bool:
        """Whether no text that is written for one shape fits the other: nothing can be written for both."""
        self._reader.spend(searched(one, other))
        merged = both(written(one), meant(other))
        return merged is None or self._tagged(one, other) or self._nothing(merged)

    def _tagged(self, one: Shape, other: Shape) -> bool:
        """Whether a member that is there has other values: quick to see, and common."""
        if (one.meant if other.types is None else one.meant & other.types) != frozenset({"object"}):
            return False
        for name in one.required:
            mine, others = ((shape.properties or {}).get(name) for shape in (one, other))
            if mine is None or others is None:
                continue
            values = self._listed(mine)
            if values is not None and not any(self._fits(value, Seen(meant=others)) for value in values):
                return True
        return False


def eased(shape: Shape) -> Shape:
    """Of a shape that is only asked for whether there is such a value: without what is hard to hold, never narrower."""
    least, most = shape.members
    if least > 1 and (shape.matching or any(schema is not False for _, schema in shape.additional)):
        least = 1 if most is None or least <= most else least  # others count as one where they are written
    return replace(shape, unique=False, members=(least, most))
