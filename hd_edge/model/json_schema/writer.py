"""Writes the grammar of a schema, shape by shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from hd_edge.errors import ConfigError, SchemaError, at_most, refuse

from .arrays import array
from .automaton import FITTING, Both, Other
from .exclusion import Choice, Comparison, choice_of, eased
from .fitting import fits_shape, type_of
from .keywords import own_shape
from .known import Known
from .numbers import number
from .objects import Members
from .reading import Reader
from .rules import Name, Rules
from .shape import TELLING, TYPES, Schema, Shape
from .sides import Sides
from .texts import automaton, literal, loose_text, spell, spelled, text
from .work import Work

MOST_NESTED = 64  # schemas in schemas
MOST_LISTED = 64  # values of a schema that are counted
MOST_TOLD = 60  # characters of a name in a message
MOST_COUNTED = 64  # characters of a text as it is, where not all has to be held


def grammar_of(
    schema: Schema, *, loose: bool = False, of_object: bool = False, work: Work | None = None
) -> tuple[str, list[str]]:
    """GBNF of a schema, whose first rule is ``root``.

    Args:
        schema: A JSON schema, of the drafts 4 to 2020-12.
        loose: Keywords that cannot be held are left out, and told.
        of_object: Only objects are written.
        work: What is spent of it is spent on this schema; None: a budget of its own.

    Returns:
        The grammar, and what was left out of the schema.

    Raises:
        ConfigError: It is no schema, too large, asks for what cannot be held, or nothing fits it.
    """
    writer = Writer(schema, loose=loose, work=work)
    whole = {"allOf": [schema, {"type": "object"}]} if of_object else schema
    root = writer.value(whole, "#", 0)
    writer.write()
    found = writer.rules.text(root)
    if found is None and of_object:
        refuse(SchemaError, "expected a JSON schema of an object, and no object that can be written fits it")
    if found is None:
        refuse(SchemaError, "no value that can be written fits the schema: its keywords contradict each other")
    return found, list(writer.reader.notes)


def text_grammar_of(
    schema: Schema, without: str, *, loose: bool = False, work: Work | None = None
) -> tuple[str, list[str]]:
    """GBNF of the texts that fit a schema, as they are: without quotes and escapes.

    Args:
        schema: A JSON schema; what it says of other types is passed over.
        without: A pattern that is not found in them.
        loose: As ``grammar_of`` takes it; long bounds of lengths are left out, too.
        work: As ``grammar_of`` takes it.

    Returns:
        As ``grammar_of``.

    Raises:
        ConfigError: As ``grammar_of``.
    """
    writer = Writer(schema, loose=loose, work=work)
    rules, free = writer.rules, Other(writer.known.pattern(without))
    root = rules.new("value")
    for shape in writer.reader.shapes(schema):
        if "string" not in shape.meant:
            continue
        shape = writer.apart(replace(shape, types=frozenset({"string"})))
        if shape.values is not None:
            fitting = [value for value in shape.values if writer.fits_shape(value, replace(shape, values=None))]
            for value in fitting:
                if isinstance(value, str):
                    rules.add(root, literal(value))
            continue
        least, most = shape.length
        if loose and max(least, most or 0) > MOST_COUNTED:
            shape = replace(shape, length=(0, None))
        rules.add(root, spell(rules, Both(automaton(shape, writer.known), free), '""', escaped=False))
    found = rules.text(root)
    if found is None:
        refuse(SchemaError, "no text fits the schema")
    return found, list(writer.reader.notes)


def takes_object(schema: Schema) -> bool:
    """Whether an object may fit a schema, by what it says of the value itself.

    Raises:
        ConfigError: It is no schema, or too large.
    """
    shapes = Writer(schema, loose=True).reader.shapes(schema)
    listed = [shape.values or ({},) for shape in shapes if "object" in shape.meant]
    return any(isinstance(value, dict) for values in listed for value in values)


class Writer:
    """The grammar of one document.

    Args:
        document: What references are looked up in.
        loose: As ``grammar_of`` takes it.
        work: As ``grammar_of`` takes it.
        beside: Another writer of the same document, for whom this one only tells whether anything can be written.
    """

    def __init__(
        self, document: Schema, *, loose: bool, work: Work | None = None, beside: Writer | None = None
    ) -> None:
        self._document, self._loose = document, loose
        if beside is None:
            self.known = Known(work or Work())
            sides = Sides(self.known)
            self.reader = Reader(document, self.known, sides, loose=loose, own=own_shape, choice=choice_of)
            self._comparison = Comparison(self.known, sides, listed=self._listed, fits=self.fits, nothing=self._nothing)
        else:
            self.known, self.reader, self._comparison = beside.known, beside.reader, beside._comparison
        self.rules = Rules(self.known.work, sketch=beside is not None)
        self._by_schema: dict[int, Name] = {}
        self._by_shape: dict[int, Name] = {}
        self._todo: list[tuple[Name, Schema | Shape, str, int]] = []

    def value(self, schema: Schema, where: str, depth: int) -> Name:
        """The rule of a schema.

        Args:
            schema: The schema.
            where: It stands, for messages.
            depth: It stands at.
        """
        at_most("schemas in schemas", depth, MOST_NESTED)
        key = self.known.as_written(schema)
        if key not in self._by_schema:
            self._by_schema[key] = self.rules.new("value")
            self._todo.append((self._by_schema[key], schema, where, depth))
        return self._by_schema[key]

    def shape(self, shape: Shape, where: str, depth: int) -> Name:
        """The rule of a shape."""
        shape = shape.typed
        key = self.known.shape(shape)
        if key not in self._by_shape:
            self._by_shape[key] = self.rules.new("shape")
            self._todo.append((self._by_shape[key], shape, where, depth))
        return self._by_shape[key]

    def write(self) -> None:
        """Writes all rules that were named.

        Raises:
            ConfigError: As ``grammar_of``.
        """
        while self._todo:
            rule, what, where, depth = self._todo.pop()
            try:
                if isinstance(what, Shape):
                    self._write_held(rule, what, where, depth)
                else:
                    for shape in self.reader.shapes(what):
                        self.rules.add(rule, self.shape(shape, where, depth))
            except SchemaError as error:
                msg = str(error) if str(error).startswith("at ") else f"at {where}: {error}"
                raise SchemaError(msg) from None

    def _write_held(self, rule: Name, shape: Shape, where: str, depth: int) -> None:
        """Writes a shape; where the schema is taken loosely, without what cannot be held."""
        shape = eased(shape) if self.rules.sketch else self.apart(shape, f"at {where}: ")
        try:
            self._write(rule, shape, where, depth)
        except SchemaError as error:
            if not self._loose:
                raise
            self.reader.notes[f"at {where}: {error}"] = None
            self.rules.clear(rule)
            self._write(rule, replace(shape, unique=False, multiple=(), members=(0, None)), where, depth)

    def apart(self, shape: Shape, where: str = "") -> Shape:
        """The shape, of which no text fits another alternative; where the schema is taken loosely, as it is.

        Raises:
            SchemaError: Some may.
        """
        try:
            if shape.values is None:  # else only those that fit are written
                self._comparison.keep_apart(shape)
        except SchemaError as error:
            if not self._loose:
                raise
            self.reader.notes[f"{where}{error}"] = None
            return replace(shape, choices=())
        return shape

    def _write(self, rule: Name, shape: Shape, where: str, depth: int) -> None:
        if shape.values is not None:
            rest = replace(shape, values=None)
            for value in shape.values:
                if self.fits_shape(value, rest):
                    self.rules.add(rule, literal(spelled(value)))
            return
        meant = shape.meant
        for word in ("null", "true", "false"):
            if ("null" if word == "null" else "boolean") in meant:
                self.rules.add(rule, literal(word))
        if "number" in meant:
            low, high, multiple = shape.low, shape.high, list(shape.multiple)
            dense = not shape.whole and not multiple and (low is None or high is None or low.at < high.at)
            if self.rules.sketch and dense:
                self.rules.add(rule, "number")  # those between may have more digits than are written
            for parts in number(self.rules, whole=shape.whole, low=low, high=high, multiple=multiple):
                self.rules.add(rule, *parts)
        if "string" in meant:

            def left_out(what: str) -> None:
                self.reader.notes[f"at {where}: {what}"] = None

            make = partial(loose_text, left_out=left_out) if self._loose else text
            self.rules.add(rule, *make(self.rules, shape, self.known))
        if "array" in meant:

            def item(schema: Schema) -> Name:
                return self.value(schema, f"{where}/items", depth + 1)

            self.rules.add(rule, *array(self.rules, shape, value=item, listed=self._listed, number=self.known.equal))
        if "object" in meant:
            members = Members(
                self.rules,
                shape,
                self.known,
                value=lambda schema, name: self.value(schema, f"{where}/{name[:MOST_TOLD]}", depth + 1),
                shapes=self._texts,
                fits=self.fits,
            )
            self.rules.add(rule, *members.written())

    def fits(self, value: Any, schema: Schema) -> bool:
        """Whether a value fits a schema."""
        return any(self.fits_shape(value, shape) for shape in self.reader.shapes(schema))

    def fits_shape(self, value: Any, shape: Shape) -> bool:
        """Whether a value fits a shape."""
        if not fits_shape(value, shape, self.fits, self.known):
            return False
        return not any(self._fits_other(value, *choice) for choice in shape.choices)

    def _fits_other(self, value: Any, choice: Choice, place: int) -> bool:
        """``oneOf``: whether a value that fits one alternative fits another."""
        if type_of(value) in choice.apart:
            return False
        others = choice.others(place)
        self.known.work.spend(len(others), FITTING)
        return any(self.fits_shape(value, other) for _, other in others)

    def _texts(self, schema: Schema) -> list[Shape]:
        """The shapes of texts that fit a schema."""
        shapes = [shape for shape in self.reader.shapes(schema) if "string" in (shape.types or TYPES)]
        return [self.apart(replace(shape, types=frozenset({"string"}))) for shape in shapes]

    def _listed(self, schema: Schema) -> list[Any] | None:
        """All values of a schema; None: they are not listed in it."""
        found: list[Any] = []
        for shape in self.reader.shapes(schema):
            values: Iterable[Any] | None = shape.values
            if values is None:
                known = {"boolean": (False, True), "null": (None,)}
                if not shape.meant <= known.keys():
                    return None
                values = [value for kind in sorted(shape.meant) for value in known[kind]]
            found += [value for value in values if self.fits_shape(value, shape)]
        return found if len(found) <= MOST_LISTED else None

    def _nothing(self, shape: Shape) -> bool:
        writer = Writer(self._document, loose=self._loose, beside=self)
        try:
            root = writer.shape(shape, "#", 0)
            writer.write()
        except ConfigError:
            self.known.work.spend(0, TELLING)  # no work left is the error, not that a value may fit both
            return False
        return root.text not in writer.rules.productive()
