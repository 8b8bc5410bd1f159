"""``oneOf``: what tells alternatives apart without writing them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .known import Known
    from .shape import Shape


def differ_at_once(branches: list[list[Shape]], known: Known) -> bool:
    """Whether no value fits two branches, as far as that is seen without pairs."""
    shapes = [shape for branch in branches for shape in branch]
    listed = [[list(known.listed(shape.values)) for shape in branch if shape.values is not None] for branch in branches]
    if sum(map(len, listed)) == len(shapes):
        return _disjoint(listed)
    common = set.intersection(*(set(shape.required) for shape in shapes))
    return any(_disjoint([[_tags(shape, name) for shape in branch] for branch in branches]) for name in common)


def _disjoint(branches: Sequence[Sequence[Sequence[Hashable]]]) -> bool:
    """Whether each branch has values, in all of its shapes, that no other has."""
    seen = set[Hashable]()
    for branch in branches:
        here = {value for values in branch for value in values}
        if not all(branch) or here & seen:
            return False
        seen |= here
    return True


def _tags(shape: Shape, name: str) -> list[str]:
    """The texts that a member of an object has; none: it has others, or may be left out, or there may be no object."""
    schema = (shape.properties or {}).get(name)
    if shape.meant != {"object"} or name not in shape.required or not isinstance(schema, dict):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return values if isinstance(values, list) and all(isinstance(value, str) for value in values) else []


def plainly_apart(one: Shape, other: Shape, known: Known) -> bool:
    """Whether what is written for one shape is seen not to fit the other, without a look into its members."""
    kinds = one.meant if other.types is None else one.meant & other.types
    if not kinds:
        return True
    if one.values is not None and other.values is not None:
        return known.listed(one.values).keys().isdisjoint(known.listed(other.values))
    return kinds == {"object"} and (_knows_not(other, one.required) or _knows_not(one.closed, other.required))


def _knows_not(shape: Shape, required: tuple[str, ...]) -> bool:
    """Whether one of these members cannot be there."""
    if shape.additional is not False or shape.matching:
        return False
    return any(name not in (shape.properties or {}) for name in required)
