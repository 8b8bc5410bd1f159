"""The two sides of a comparison: a shape as it is written, and a shape as it is meant.

Both differ: an object with named members is written without others, a list of first items with all of them, a value
without a type is of those that its keywords are about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .shape import ANYTHING, TELLING, Schema, Seen, Shape

if TYPE_CHECKING:
    from .known import Known


class Sides:
    """Both sides of the shapes of one document, each made once.

    Args:
        known: Of the conversion.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._made: dict[tuple[str, int], Shape] = {}

    def written(self, shape: Shape) -> Shape:
        """What is written for a shape, with all in words that it leaves unsaid."""
        return self._of(shape, "written", _written)

    def meant(self, shape: Shape) -> Shape:
        """What a shape means, with all in words that it leaves unsaid."""
        return self._of(shape, "meant", _meant)

    def _of(self, shape: Shape, side: str, make: Callable[[Shape], Shape]) -> Shape:
        key = side, self._known.shape(shape)
        if key not in self._made:
            self._known.work.spend(40 + shape.entries, TELLING)
            self._made[key] = make(shape)
        return self._made[key]


def _written(shape: Shape) -> Shape:
    if shape.values is not None:  # those that fit it
        return _meant(shape)
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


def _meant(shape: Shape) -> Shape:
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
