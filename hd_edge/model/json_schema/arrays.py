"""Arrays: first items of their own, then any number of others; sets of a few values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hd_edge.errors import SchemaError, refuse

from .rules import Alternative, Name, Rules, times
from .shape import Schema, Shape
from .texts import literal, spelled

MOST_IN_SET = 8  # values: every subset of them is a rule


def array(
    rules: Rules,
    shape: Shape,
    *,
    value: Callable[[Schema], Name],
    listed: Callable[[Schema], list[Any] | None],
    number: Callable[[Any], int],
) -> Alternative:
    """Arrays of a shape.

    Args:
        rules: Where rules go.
        shape: The shape.
        value: Gives the rule of a schema.
        listed: Gives all values of a schema; None: there are too many.
        number: Of a value, the same for equal ones.

    Raises:
        ConfigError: ``uniqueItems`` cannot be held.
    """
    first = shape.first or ()
    least = len(first) if shape.count[0] is None else shape.count[0]
    most = shape.count[1]
    items = shape.items if shape.items is not None or shape.first is not None else True
    items = False if items is None else items
    if most is not None and most < least:
        if shape.count[0] is not None:
            return (rules.new("nothing"),)
        fewer = replace(shape, first=first[:most])  # than are named
        return array(rules, fewer, value=value, listed=listed, number=number)
    if shape.unique and (most is None or most > 1):
        values = listed(items) if not first else None
        if values is None or len(values) > MOST_IN_SET:
            refuse(
                SchemaError,
                f"uniqueItems cannot be held, but for items of at most {MOST_IN_SET} listed values: "
                "leave it out, and check the answer",
            )
        unlike: dict[int, Any] = {}
        for item in values:
            unlike.setdefault(number(item), item)
        return ('"["', "space", _Set(rules, list(unlike.values()), least, most).after(frozenset()))
    first = first if most is None else first[:most]
    rest = rules.new("rest")
    others = least - len(first), None if most is None else most - len(first)
    tail = ('","', "space", value(items)) if items is not False else (rules.new("nothing"),)
    if first:
        rules.add(rest, *times(rules, tail, max(0, others[0]), others[1]), "space", '"]"')
    else:
        if least == 0:
            rules.add(rest, '"]"')
        if most is None or most > 0:
            less = None if most is None else most - 1
            one = value(items) if items is not False else rules.new("nothing")
            rules.add(rest, one, *times(rules, tail, max(0, least - 1), less), "space", '"]"')
    for place in reversed(range(len(first))):
        before = rules.new("item")
        rules.add(before, *(('","', "space") if place else ()), value(first[place]), rest)
        if place >= least:
            rules.add(before, *(("space",) if place else ()), '"]"')
        rest = before
    return ('"["', "space", rest)


class _Set:
    """Arrays of listed values, none twice, in any order.

    Args:
        rules: Where rules go.
        values: The values, no two equal.
        least: Items.
        most: Items.
    """

    def __init__(self, rules: Rules, values: list[Any], least: int, most: int | None) -> None:
        self._rules, self._least, self._most = rules, least, len(values) if most is None else most
        self._values = values
        self._known: dict[frozenset[int], Name] = {}

    def after(self, had: frozenset[int]) -> Name:
        """What may follow these values."""
        if had in self._known:
            return self._known[had]
        rule = self._known[had] = self._rules.new("set")
        if len(had) >= self._least:
            self._rules.add(rule, *(("space",) if had else ()), '"]"')
        if len(had) < self._most:
            for place, value in enumerate(self._values):
                if place not in had:
                    comma = ('","', "space") if had else ()
                    self._rules.add(rule, *comma, literal(spelled(value)), self.after(had | {place}))
        return rule
