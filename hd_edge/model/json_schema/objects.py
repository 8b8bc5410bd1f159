"""Objects: named members in their order, then any that a pattern or ``additionalProperties`` allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from hd_edge.errors import SchemaError, at_most, refuse

from .automaton import Automaton, Both, Length, Other, Words
from .rules import Alternative, Name, Rules
from .shape import MOST_PATTERNS, Schema, Shape, all_of, found_in
from .texts import automaton, literal, spell, spelled

if TYPE_CHECKING:
    from .known import Known


class Members:
    """The members of one shape of objects.

    Args:
        rules: Where rules go.
        shape: The shape.
        known: Of the conversion.
        value: Gives the rule of the schema of a member of this name.
        shapes: Gives the shapes of a schema.
        fits: Whether a value fits a schema.
    """

    def __init__(
        self,
        rules: Rules,
        shape: Shape,
        known: Known,
        *,
        value: Callable[[Schema, str], Name],
        shapes: Callable[[Schema], list[Shape]],
        fits: Callable[[Any, Schema], bool],
    ) -> None:
        self._rules, self._shape, self._value, self._shapes, self._fits = rules, shape, value, shapes, fits
        self._known = known
        at_most("patterns of names in an object", len(shape.matching), MOST_PATTERNS)
        self._open = shape.properties is None and not shape.matching
        self._named = self._by_name()
        self._order, self._required = list(self._named), frozenset(shape.required)
        least, most = shape.members
        self._least, self._most = least, most
        self._told_apart = max(1, least, 0 if most is None else most)  # counts beyond this are alike
        self._free = self._others()
        if self._free and least > len(self._named) + 1:
            refuse(
                SchemaError,
                f"minProperties={least} cannot be held where {len(self._named)} members have names: "
                "the others might be called alike; name them in properties, or leave it out",
            )
        self._behind: dict[tuple[int, int], Name] = {}
        self._pairs: dict[str, Name] = {}
        self._ends: dict[tuple[bool, int, bool], Name] = {}

    def written(self) -> Alternative:
        """The object."""
        self._write()
        return ('"{"', "space", self._from(0, 0))

    def _by_name(self) -> dict[str, Schema]:
        shape = self._shape
        given = shape.properties or {}
        named: dict[str, Schema] = {}
        for name in dict.fromkeys((*given, *shape.required)):
            found = found_in(name, shape, self._known)
            named[name] = given[name] if name in given else shape.rest(found, self._known)
            for text, schema in shape.matching:
                named[name] = all_of(named[name], schema, self._known) if text in found else named[name]
            named[name] = True if named[name] is None else named[name]
            if not all(self._fits(name, schema) for schema in shape.names):
                named[name] = False
        return named

    def _from(self, place: int, count: int) -> Name:
        """What may follow, from the member at a place on, behind so many."""
        if (place, count) in self._behind:
            return self._behind[place, count]
        if place == len(self._named):
            return self._end(count >= self._least, count, began=False)
        rule = self._behind[place, count] = self._rules.new("members")
        name = self._order[place]
        if self._named[name] is not False and (self._most is None or count < self._most):
            behind = self._from(place + 1, min(count + 1, self._told_apart))
            self._rules.add(
                rule,
                *_comma(count),
                literal(spelled(name) + ":"),
                "space",
                self._value(self._named[name], name),
                behind,
            )
        if name not in self._required:
            self._rules.add(rule, self._from(place + 1, count))
        return rule

    def _write(self) -> None:
        """Writes the rules from the last member to the first: a thousand of them are no deep recursion."""
        for count in range(self._told_apart, -1, -1):
            self._end(True, count, began=True)
        for place in range(len(self._named), -1, -1):
            for count in range(min(place, self._told_apart) + 1):
                self._from(place, count)

    def _pair(self, name: str) -> Name:
        if name not in self._pairs:
            value = self._value(self._named[name], name)
            self._pairs[name] = self._rules.of("pair", [(literal(spelled(name) + ":"), "space", value)])
        return self._pairs[name]

    def _end(self, enough: bool, count: int, *, began: bool) -> Name:
        """Behind the named members: others, and the end.

        Args:
            enough: There are as many of different names as there must be.
            count: Members so far.
            began: One of the others was among them; what it was called is not known.
        """
        key = enough, count, began
        if key in self._ends:
            return self._ends[key]
        rule = self._ends[key] = self._rules.new("end")
        if enough:
            self._rules.add(rule, *(("space",) if count else ()), '"}"')
        if enough or (not began and count + 1 >= self._least):
            more = min(count + 1, self._told_apart)
            for pair in self._free if self._most is None or count < self._most else ():
                self._rules.add(rule, *_comma(count), pair, self._end(True, more, began=True))
        return rule

    def _others(self) -> list[Name]:
        """Rules of a name and a value that are not among the named ones, one for each way to be so."""
        shape = self._shape
        if self._most is not None and self._most == 0:
            return []
        pairs = []
        for chosen in product((True, False), repeat=len(shape.matching)):
            found = [text for (text, _), one in zip(shape.matching, chosen, strict=True) if one]
            schema = shape.rest(found, self._known)
            names: Automaton | None = Other(Words(self._named)) if self._named else None
            for text, inner in shape.matching:
                one = self._known.pattern(text) if text in found else Other(self._known.pattern(text))
                names = one if names is None else Both(names, one)
                schema = all_of(schema, inner, self._known) if text in found else schema
            if schema is None:  # nothing is said of them
                schema = self._open
            if schema is False:
                continue
            value = self._value(schema, "*")
            for allowed in self._names(names):
                key = self._rules.of("key", [('"\\""', spell(self._rules, allowed, '"\\":"'))])
                pairs.append(self._rules.of("pair", [(key, "space", value)]))
        return pairs

    def _names(self, names: Automaton | None) -> Iterator[Automaton]:
        """The same names, as ``propertyNames`` holds them."""
        any_name: Automaton = Length(0, None) if names is None else names
        if not self._shape.names:
            yield any_name
            return
        for shape in self._shapes({"allOf": list(self._shape.names)}):
            if shape.values is not None:
                rest = {"allOf": list(self._shape.names)}
                words = [value for value in shape.values if isinstance(value, str) and self._fits(value, rest)]
                yield Both(any_name, Words(words))
            else:
                held = automaton(replace(shape, values=None), self._known)
                yield held if names is None else Both(names, held)


def _comma(count: int) -> Alternative:
    return ('","', "space") if count else ()
