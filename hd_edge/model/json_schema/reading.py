"""Reads schemas: follows references, multiplies out what is to hold at once, gives the shapes a value may have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hd_edge.errors import ConfigError, SchemaError, at_most, refuse

from .shape import PLAIN, Schema, Seen, Shape, both, nested, searched

if TYPE_CHECKING:
    from .exclusion import Choice

CANNOT = ("contains", "$dynamicRef", "$recursiveRef", "then", "else")  # all that are not known are annotations
MOST_SHAPES = 2000  # that one value may have
MOST_FOLLOWED = 64  # references and alternatives in each other
MOST_WORK = 60_000  # schemas that are read, and shapes that are compared or joined


class Reader:
    """The shapes of one document.

    Args:
        document: What references are looked up in.
        loose: Where a keyword cannot be held, note it and go on without it.
        own: Gives the shape of a schema's own keywords.
        choice: Makes a ``oneOf`` of a number and the shapes of its alternatives.
        views: How a shape is seen as one that is written, and as one that is meant.

    Attributes:
        notes: Keywords that were left out.
    """

    def __init__(
        self,
        document: Schema,
        *,
        loose: bool,
        own: Callable[[Schema], Shape],
        choice: Callable[[int, list[list[Shape]]], Choice],
        views: Mapping[str, Callable[[Shape], Shape]],
    ) -> None:
        self._document, self._loose, self._own_shape, self._choice, self._views = document, loose, own, choice, views
        self._following: list[str] = []
        self._known: dict[str, list[Shape]] = {}
        self._read: dict[int, tuple[Schema, list[Shape]]] = {}  # by id: the schema is kept, so that no other gets it
        self._choices: dict[str, Choice] = {}
        self._work = 0
        self.notes: dict[str, None] = {}

    def shapes(self, schema: Schema, depth: int = 0) -> list[Shape]:
        """The shapes that a value may have; none: nothing fits.

        Raises:
            ConfigError: A part is no schema, cannot be held, or is too large.
        """
        self.spend(1)
        at_most("schemas in schemas", depth, MOST_FOLLOWED)
        if isinstance(schema, bool):
            return [Shape()] if schema else []
        if not isinstance(schema, dict):
            refuse(ConfigError, f"{str(schema)[:60]!r} stands where a schema (an object, true or false) is expected")
        if isinstance(schema, Seen):
            return self._seen(schema, depth)
        if id(schema) not in self._read:
            self._read[id(schema)] = schema, self._combined(schema, depth)
        found = self._read[id(schema)][1]
        self.spend(len(found))
        return found

    def _combined(self, schema: dict[str, Any], depth: int) -> list[Shape]:
        for keyword in CANNOT:
            if keyword in schema and (keyword not in ("then", "else") or "if" in schema):
                with self._held():
                    refuse(SchemaError, f"{keyword} cannot be held: leave it out, and check the answer")
        found = [self._own(schema)]
        self.spend(found[0].entries // PLAIN)
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
        sides = []
        for key, seen in self._views.items():
            shapes = [Shape()] if schema[key] is None else self.shapes(schema[key], depth + 1)
            self.spend(sum(shape.entries for shape in shapes) // PLAIN)
            sides.append([seen(shape) for shape in shapes])
        return self._all(*sides)

    def spend(self, work: int) -> None:
        """Counts work before it is done.

        Raises:
            ConfigError: There is no more left for this document.
        """
        self._work += work
        at_most("schemas and shapes to read", self._work, MOST_WORK)

    def _own(self, schema: dict[str, Any]) -> Shape:
        try:
            return self._own_shape(schema)
        except SchemaError as error:
            if not self._loose:
                raise
            self.notes[str(error)] = None
            return self._own_shape({keyword: value for keyword, value in schema.items() if self._can(keyword, value)})

    def _can(self, keyword: str, value: Any) -> bool:
        try:
            self._own_shape({keyword: value})
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
        self.spend(len(some) * len(others))
        for ones, number in ((some, len(others)), (others, len(some))):
            self.spend(number * sum(shape.entries for shape in ones) // PLAIN)
        self.spend(sum(searched(one, other) for one, other in product(some, others)))
        merged = (both(one, other) for one, other in product(some, others))
        return list({shape.key: shape for shape in merged if shape is not None}.values())

    def _listed(self, schema: dict[str, Any], keyword: str) -> list[Schema]:
        parts = schema.get(keyword, [])
        if not isinstance(parts, list) or (keyword in schema and not parts):
            refuse(ConfigError, f"{keyword} is {str(parts)[:60]}, expected a list of schemas")
        return parts

    def _either(self, parts: list[Schema], keyword: str, depth: int) -> list[Shape]:
        branches = [self.shapes(part, depth + 1) for part in parts]
        at_most("shapes of one value", sum(map(len, branches)), MOST_SHAPES)
        if keyword == "oneOf":
            key = json.dumps(parts)
            self.spend(len(key) // 1024)
            if key not in self._choices:
                self._choices[key] = self._choice(len(self._choices), branches)
            choice = self._choices[key]
            branches = [
                [replace(shape, choices=(*shape.choices, (choice, place))) for shape in branch]
                for place, branch in enumerate(branches)
            ]
        return [shape for branch in branches for shape in branch]

    def _referred(self, reference: Any, depth: int) -> list[Shape]:
        if not isinstance(reference, str):
            refuse(ConfigError, f"$ref is {str(reference)[:60]}, expected a text")
        if reference in self._known:
            return self._known[reference]
        if reference in self._following:
            refuse(SchemaError, f"$ref {reference!r} refers to itself, with nothing between")
        self._following.append(reference)
        try:
            found = self.shapes(self._target(reference), depth + 1)
        finally:
            self._following.pop()
        self._known[reference] = found
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
