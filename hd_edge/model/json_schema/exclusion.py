"""``oneOf``: what tells alternatives apart without writing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .shape import Shape


def differ_at_once(branches: list[list[Shape]]) -> bool:
    """Whether no value fits two branches, as far as that is seen without pairs."""
    shapes = [shape for branch in branches for shape in branch]
    if all(shape.values is not None for shape in shapes):
        return _disjoint([[list(shape.listed) for shape in branch] for branch in branches])
    return any(
        _disjoint([[_tags(shape, name) for shape in branch] for branch in branches])
        for name in (shapes[0].required if shapes else ())
    )


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
    """The texts that a member of an object has; none: it has others, or may be left out, or there may be no object."""
    schema = (shape.properties or {}).get(name)
    if shape.meant != {"object"} or name not in shape.required or not isinstance(schema, dict):
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
    return kinds == {"object"} and (_knows_not(other, one.required) or _knows_not(one.closed, other.required))


def _knows_not(shape: Shape, required: tuple[str, ...]) -> bool:
    """Whether one of these members cannot be there."""
    if shape.additional is not False or shape.matching:
        return False
    return any(name not in (shape.properties or {}) for name in required)
