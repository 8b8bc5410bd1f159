"""Reads schemas: follows references, multiplies out what is to hold at once, gives the shapes a value may have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import Any
from urllib.parse import unquote

from hd_edge.errors import ConfigError, SchemaError, at_most, refuse

from .shape import Schema, Shape, both, nested

CANNOT = ("contains", "$dynamicRef", "$recursiveRef", "then", "else")  # all that are not known are annotations
MOST_SHAPES = 2000  # that one value may have
MOST_FOLLOWED = 64  # references and alternatives in each other
MOST_WORK = 60_000  # schemas that are read, and shapes that are compared or joined
PAIR = 14  # the work of telling two shapes apart, unless both list their values: some 0.2 ms


class Reader:
    """The shapes of one document.

    Args:
        document: What references are looked up in.
        loose: Where a keyword cannot be held, note it and go on without it.
        own: Gives the shape of a schema's own keywords.
        apart: Tells whether no text that is written for the first of two shapes fits the second.

    Attributes:
        notes: Keywords that were left out.
    """

    def __init__(
        self, document: Schema, *, loose: bool, own: Callable[[Schema], Shape], apart: Callable[[Shape, Shape], bool]
    ) -> None:
        self._document, self._loose, self._own_shape, self._apart = document, loose, own, apart
        self._following: list[str] = []
        self._known: dict[str, list[Shape]] = {}
        self._work = 0
        self.notes: dict[str, None] = {}

    def shapes(self, schema: Schema, depth: int = 0) -> list[Shape]:
        """The shapes that a value may have; none: nothing fits.

        Raises:
            ConfigError: A part is no schema, cannot be held, or is too large.
        """
        self._spend(1)
        at_most("schemas in schemas", depth, MOST_FOLLOWED)
        if isinstance(schema, bool):
            return [Shape()] if schema else []
        if not isinstance(schema, dict):
            refuse(ConfigError, f"{str(schema)[:60]!r} stands where a schema (an object, true or false) is expected")
        for keyword in CANNOT:
            if keyword in schema and (keyword not in ("then", "else") or "if" in schema):
                with self._held():
                    refuse(SchemaError, f"{keyword} cannot be held: leave it out, and check the answer")
        found = [self._own(schema)]
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
        return [_with_rest(shape, schema) for shape in found]

    def _spend(self, work: int) -> None:
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
        self._spend(len(some) * len(others))
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
            with self._held():
                self._exclude(branches)
        return [shape for branch in branches for shape in branch]

    def _exclude(self, branches: list[list[Shape]]) -> None:
        """``oneOf``: what is written for one must not fit another."""
        if _differ_by_tag(branches):
            return
        self._spend(_pairs(branches))  # before the first is compared: nobody can stop what comes now
        for place, branch in enumerate(branches):
            for other_place, other in enumerate(branches):
                pairs = product(branch, other)
                if place != other_place and not all(self._apart(one, another) for one, another in pairs):
                    first, second = sorted((place, other_place))
                    refuse(
                        SchemaError,
                        f"oneOf: a value may fit alternatives {first} and {second}; use anyOf, or tell them apart",
                    )

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


def _differ_by_tag(branches: list[list[Shape]]) -> bool:
    """Whether a member that is always there has texts in each branch that it has in no other: seen without pairs."""
    shapes = [shape for branch in branches for shape in branch]
    for name in shapes[0].required if shapes else ():
        seen = set[str]()
        for branch in branches:
            tags = [_tags(shape, name) for shape in branch]
            here = {tag for found in tags for tag in found}
            if not all(tags) or here & seen:
                break
            seen |= here
        else:
            return True
    return False


def _tags(shape: Shape, name: str) -> list[str]:
    """The texts that a member of an object has; none: it has others, or may be left out, or there may be no object."""
    schema = (shape.properties or {}).get(name)
    if shape.meant != {"object"} or name not in shape.required or not isinstance(schema, dict):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return values if isinstance(values, list) and all(isinstance(value, str) for value in values) else []


def _pairs(branches: list[list[Shape]]) -> int:
    """The work of telling shapes of different branches apart."""
    every = sum(map(len, branches)) ** 2 - sum(len(branch) ** 2 for branch in branches)
    listed = [sum(shape.values is not None for shape in branch) for branch in branches]
    cheap = sum(listed) ** 2 - sum(number**2 for number in listed)
    return cheap + PAIR * (every - cheap)


def _with_rest(shape: Shape, schema: dict[str, Any]) -> Shape:
    """What ``unevaluated...`` says of members and items that nothing else of the schema tells of."""
    members, items = schema.get("unevaluatedProperties", True), schema.get("unevaluatedItems", True)
    if members is not True and shape.additional is None:
        shape = replace(shape, additional=members)
    if items is not True and shape.items is None:
        shape = replace(shape, items=items)
    return shape


def _dependent(schema: dict[str, Any]) -> Iterator[list[Schema]]:
    """What follows from a member that is there, as alternatives: it is not, or the rest holds."""
    for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
        for name, then in nested(schema, keyword).items():
            rest = {"required": then} if isinstance(then, list) else then
            yield [{"properties": {name: False}}, {"allOf": [{"type": "object", "required": [name]}, rest]}]
