"""Reads schemas: follows references, multiplies out what is to hold at once, gives the shapes a value may have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hd_edge.errors import ConfigError, SchemaError, at_most, refuse

from .shape import Schema, Seen, Shape, both, nested

if TYPE_CHECKING:
    from .exclusion import Choice
    from .known import Known
    from .sides import Sides

CANNOT = ("contains", "$dynamicRef", "$recursiveRef", "then", "else")  # all that are not known are annotations
MOST_SHAPES = 2000  # that one value may have
MOST_FOLLOWED = 64  # references and alternatives in each other
READING = "reading of schemas"  # what work is spent on


class Reader:
    """The shapes of one document.

    Args:
        document: What references are looked up in.
        known: Of the conversion.
        sides: Of its shapes.
        loose: Where a keyword cannot be held, note it and go on without it.
        own: Gives the shape of a schema's own keywords.
        choice: Makes a ``oneOf`` of the shapes of its alternatives.

    Attributes:
        notes: Keywords that were left out.
    """

    def __init__(
        self,
        document: Schema,
        known: Known,
        sides: Sides,
        *,
        loose: bool,
        own: Callable[[Schema, Known], Shape],
        choice: Callable[[list[list[Shape]], Known], Choice],
    ) -> None:
        self._document, self._known, self._sides, self._loose = document, known, sides, loose
        self._own_shape, self._choice, self._work = own, choice, known.work
        self._following: list[str] = []
        self._referred_to: dict[str, list[Shape]] = {}
        self._read: dict[int, tuple[Schema, list[Shape]]] = {}  # by id: the schema is kept, so that no other gets it
        self._compared: dict[int, list[Shape]] = {}
        self._choices: dict[int, Choice] = {}
        self.notes: dict[str, None] = {}

    def shapes(self, schema: Schema, depth: int = 0) -> list[Shape]:
        """The shapes that a value may have; none: nothing fits.

        Raises:
            ConfigError: A part is no schema, cannot be held, or is too large.
        """
        self._work.spend(3, READING)
        at_most("schemas in schemas", depth, MOST_FOLLOWED)
        if isinstance(schema, bool):
            return [Shape()] if schema else []
        if not isinstance(schema, dict):
            refuse(ConfigError, f"{str(schema)[:60]!r} stands where a schema (an object, true or false) is expected")
        if isinstance(schema, Seen):
            found = self._seen(schema, depth)
        else:
            if id(schema) not in self._read:
                self._read[id(schema)] = schema, self._combined(schema, depth)
            found = self._read[id(schema)][1]
        self._work.spend(2 * len(found), READING)
        return found

    def _combined(self, schema: dict[str, Any], depth: int) -> list[Shape]:
        for keyword in CANNOT:
            if keyword in schema and (keyword not in ("then", "else") or "if" in schema):
                with self._held():
                    refuse(SchemaError, f"{keyword} cannot be held: leave it out, and check the answer")
        self._work.spend(40, READING)
        found = [self._own(schema)]
        self._work.spend(found[0].entries, READING)
        if (negated := schema.get("not")) is not None:
            with self._held():
                if negated not in ({}, True) and negated is not False:
                    refuse(SchemaError, "not cannot be held: leave it out, and check the answer")
                found = found if negated is False else []
        if "$ref" in schema:
            found = self._all(found, self._referred(schema["$ref"], depth))
        for part in self._listed(schema, "allOf"):
            found = self._all(found, self.shapes(part, depth + 1))
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                found = self._all(found, self._either(self._listed(schema, keyword), keyword, depth))
        for other in _dependent(schema):
            found = self._all(found, [shape for one in other for shape in self.shapes(one, depth + 1)])
        return [_with_rest(shape, schema, guessed=len(found) > 1) for shape in found]

    def _seen(self, schema: Seen, depth: int) -> list[Shape]:
        number = self._known.as_written(schema)
        if number not in self._compared:
            sides = [
                [Shape()] if schema[key] is None else [side(shape) for shape in self.shapes(schema[key], depth + 1)]
                for key, side in (("written", self._sides.written), ("meant", self._sides.meant))
            ]
            self._compared[number] = self._all(*sides)
        return self._compared[number]

    def _own(self, schema: dict[str, Any]) -> Shape:
        try:
            return self._own_shape(schema, self._known)
        except SchemaError as error:
            if not self._loose:
                raise
            self.notes[str(error)] = None
            self._work.spend(40 * len(schema), READING)
            held = {keyword: value for keyword, value in schema.items() if self._can(keyword, value)}
            return self._own_shape(held, self._known)

    def _can(self, keyword: str, value: Any) -> bool:
        try:
            self._own_shape({keyword: value}, self._known)
        except SchemaError:
            return False
        return True

    @contextmanager
    def _held(self) -> Iterator[None]:
        """A keyword that may be left out where the schema is taken loosely."""
        try:
            yield
        except SchemaError as error:
            if not self._loose:
                raise
            self.notes[str(error)] = None

    def _all(self, some: list[Shape], others: list[Shape]) -> list[Shape]:
        at_most("shapes of one value", len(some) * len(others), MOST_SHAPES)
        merged = (both(one, other, self._known) for one, other in product(some, others))
        return list({self._known.shape(shape): shape for shape in merged if shape is not None}.values())

    def _listed(self, schema: dict[str, Any], keyword: str) -> list[Schema]:
        parts = schema.get(keyword, [])
        if not isinstance(parts, list) or (keyword in schema and not parts):
            refuse(ConfigError, f"{keyword} is {str(parts)[:60]}, expected a list of schemas")
        return parts

    def _either(self, parts: list[Schema], keyword: str, depth: int) -> list[Shape]:
        branches = [self.shapes(part, depth + 1) for part in parts]
        at_most("shapes of one value", sum(map(len, branches)), MOST_SHAPES)
        if keyword == "oneOf":
            number = self._known.as_written(parts)
            if number not in self._choices:
                self._choices[number] = self._choice(branches, self._known)
            choice = self._choices[number]
            self._work.spend(20 * sum(map(len, branches)), READING)
            branches = [
                [replace(shape, choices=(*shape.choices, (choice, place))) for shape in branch]
                for place, branch in enumerate(branches)
            ]
        return [shape for branch in branches for shape in branch]

    def _referred(self, reference: Any, depth: int) -> list[Shape]:
        if not isinstance(reference, str):
            refuse(ConfigError, f"$ref is {str(reference)[:60]}, expected a text")
        if reference in self._referred_to:
            return self._referred_to[reference]
        if reference in self._following:
            refuse(SchemaError, f"$ref {reference!r} refers to itself, with nothing between")
        self._following.append(reference)
        try:
            found = self.shapes(self._target(reference), depth + 1)
        finally:
            self._following.pop()
        self._referred_to[reference] = found
        return found

    def _target(self, reference: str) -> Schema:
        if not re.match(r"#(/|$)", reference):
            refuse(ConfigError, f"$ref {reference[:80]!r} cannot be followed: use references such as '#/$defs/name'")
        target: Any = self._document
        for key in unquote(reference[1:]).split("/")[1:]:
            name = key.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and name.isdecimal() and int(name[:9]) < len(target):
                target = target[int(name)]
            elif isinstance(target, dict) and name in target:
                target = target[name]
            else:
                refuse(ConfigError, f"$ref {reference[:80]!r} refers to nothing")
        return target


def _with_rest(shape: Shape, schema: dict[str, Any], *, guessed: bool) -> Shape:
    """What ``unevaluated...`` says of members and items that nothing else of the schema tells of."""
    members, items = schema.get("unevaluatedProperties", True), schema.get("unevaluatedItems", True)
    if members is not True and not shape.additional:
        shape = replace(shape, additional=(((*dict(shape.matching),), members),), guessed=shape.guessed or guessed)
    if items is not True and shape.items is None:
        shape = replace(shape, items=items, guessed=shape.guessed or guessed)
    return shape


def _dependent(schema: dict[str, Any]) -> Iterator[list[Schema]]:
    """What follows from a member that is there, as alternatives: it is not, or the rest holds."""
    for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
        for name, then in nested(schema, keyword).items():
            rest = {"required": then} if isinstance(then, list) else then
            yield [{"properties": {name: False}}, {"allOf": [{"type": "object", "required": [name]}, rest]}]
