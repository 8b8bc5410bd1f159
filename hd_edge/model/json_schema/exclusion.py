"""``oneOf``: what tells alternatives apart, of what is written for one and what another means.

What is written for an alternative is known only where all that stands around ``oneOf`` is: so a shape keeps which
alternative it is until then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hd_edge.errors import SchemaError, refuse

from .shape import ANYTHING, TELLING, Schema, Seen, Shape, both

if TYPE_CHECKING:
    from .fitting import Fits
    from .known import Known
    from .sides import Sides
    from .work import Work

PAIR = 100  # steps of telling two small shapes apart where that takes a look into them


@dataclass(frozen=True, eq=False)
class Choice:
    """One ``oneOf``.

    Attributes:
        branches: The shapes of each alternative.
        apart: Types whose values never fit two of them.
    """

    branches: list[list[Shape]]
    apart: frozenset[str]

    def others(self, place: int) -> list[tuple[int, Shape]]:
        """The shapes of the other alternatives, each with the place of its own."""
        return [(at, shape) for at, branch in enumerate(self.branches) if at != place for shape in branch]


def choice_of(branches: list[list[Shape]], known: Known) -> Choice:
    """A ``oneOf`` of these shapes."""
    return Choice(branches, apart_at_once(branches, known))


def apart_at_once(branches: list[list[Shape]], known: Known) -> frozenset[str]:
    """The types whose values do not fit two branches, as far as that is seen without pairs."""
    shapes = [shape for branch in branches for shape in branch]
    listed = [[list(known.listed(shape.values)) for shape in branch if shape.values is not None] for branch in branches]
    if sum(map(len, listed)) == len(shapes):
        return ANYTHING if _disjoint(listed) else frozenset()
    known.work.spend(sum(1 + shape.entries // 4 for shape in shapes), TELLING)
    common = set.intersection(*(set(shape.required) for shape in shapes))
    work = known.work
    if not any(_disjoint([[_tags(shape, name, work) for shape in branch] for branch in branches]) for name in common):
        return frozenset()
    return ANYTHING if all(shape.types == frozenset({"object"}) for shape in shapes) else frozenset({"object"})


def _disjoint(branches: Sequence[Sequence[Sequence[Hashable]]]) -> bool:
    """Whether each branch has values, in all of its shapes, that no other has."""
    seen = set[Hashable]()
    for branch in branches:
        here = {value for values in branch for value in values}
        if not all(branch) or here & seen:
            return False
        seen |= here
    return True


def _tags(shape: Shape, name: str, work: Work) -> list[str]:
    """The texts that a member of an object has; none: it has others, or may be left out."""
    schema = (shape.properties or {}).get(name)
    if name not in shape.required or not isinstance(schema, dict):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if not isinstance(values, list):
        return []
    work.spend(len(values) // 4, TELLING)
    return values if all(isinstance(value, str) for value in values) else []


def _kinds(one: Shape, other: Shape) -> frozenset[str]:
    """The types of what is written for one shape that the other has, too."""
    return one.meant if other.types is None else one.meant & other.types


def _knows_not(shape: Shape, required: tuple[str, ...]) -> bool:
    """Whether one of these members cannot be there."""
    if not any(schema is False and not patterns for patterns, schema in shape.additional):
        return False
    return any(name not in (shape.properties or {}) for name in required)


class Comparison:
    """Compares shapes of one document.

    Args:
        known: Of the conversion.
        sides: Of its shapes.
        listed: Gives all values of a schema; None: there are too many.
        fits: Whether a value fits a schema.
        nothing: Whether no value fits a shape.
    """

    def __init__(
        self,
        known: Known,
        sides: Sides,
        *,
        listed: Callable[[Schema], list[Any] | None],
        fits: Fits,
        nothing: Callable[[Shape], bool],
    ) -> None:
        self._known, self._sides = known, sides
        self._listed, self._fits, self._nothing = listed, fits, nothing
        self._told: dict[tuple[int, int], bool] = {}

    def keep_apart(self, shape: Shape) -> None:
        """``oneOf``: what is written for one alternative, a shape without values, must not fit another.

        Raises:
            SchemaError: It may.
        """
        for choice, place in shape.choices:
            if shape.meant <= choice.apart:
                continue
            others = choice.others(place)
            self._known.work.spend(sum(2 + (shape.entries + other.entries) // 4 for _, other in others), TELLING)
            left = [(at, other) for at, other in others if not self._plainly_apart(shape, other)]
            self._known.work.spend(PAIR * len(left), TELLING)  # before the first are compared
            for at, other in left:
                if not self._apart(shape, other):
                    first, second = sorted((at, place))
                    refuse(
                        SchemaError,
                        f"oneOf: a value may fit alternatives {first} and {second}; use anyOf, or tell them apart",
                    )

    def _plainly_apart(self, one: Shape, other: Shape) -> bool:
        """Whether what is written for one shape is seen not to fit the other, without a look into its members."""
        kinds = _kinds(one, other)
        if kinds != {"object"}:
            return not kinds
        if not other.guessed and _knows_not(other, one.required):
            return True
        return _knows_not(self._sides.written(one), other.required)

    def _apart(self, one: Shape, other: Shape) -> bool:
        """Whether no text that is written for one shape fits the other: nothing can be written for both."""
        key = self._known.shape(one), self._known.shape(other)
        if key not in self._told:
            merged = both(self._sides.written(one), self._sides.meant(other), self._known)
            self._told[key] = merged is None or self._tagged(one, other) or self._nothing(merged)
        return self._told[key]

    def _tagged(self, one: Shape, other: Shape) -> bool:
        """Whether a member that is there has other values: quick to see, and common."""
        if _kinds(one, other) != {"object"}:
            return False
        for name in one.required:
            mine, others = ((shape.properties or {}).get(name) for shape in (one, other))
            if mine is None or others is None:
                continue
            values = self._listed(mine)
            if values is None:
                continue
            meant = Seen(meant=others)
            if not any(self._fits(value, meant) for value in values):
                return True
        return False


def eased(shape: Shape) -> Shape:
    """Of a shape that is only asked for whether there is such a value: without what is hard to hold, never narrower."""
    least, most = shape.members
    if least > 1 and (shape.matching or any(schema is not False for _, schema in shape.additional)):
        least = 1 if most is None or least <= most else least  # others count as one where they are written
    return replace(shape, unique=False, members=(least, most))
