"""What one conversion knows already: patterns that it read, and numbers of values and schemas, equal for equal ones."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from .automaton import matches
from .pattern_parser import parsed

if TYPE_CHECKING:
    from .pattern import Pattern
    from .shape import Shape
    from .work import Work

COMPARING = "comparing of schemas and values"  # what work is spent on


class Known:
    """What is known.

    Args:
        work: Of the conversion.

    Attributes:
        work: The same.
        texts: Whether any text has these patterns and this length.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.texts: dict[Hashable, bool] = {}
        self._patterns: dict[str, Pattern] = {}
        self._numbers: dict[Hashable, int] = {}
        self._listed: dict[int, tuple[Any, dict[int, Any]]] = {}
        self._seen: dict[tuple[int, bool], tuple[Any, int]] = {}  # by id: values are kept, so that no other gets it

    def pattern(self, text: str) -> Pattern:
        """The automaton of a pattern.

        Raises:
            ConfigError: It does not parse, is too large, or asks for what no automaton of ours can hold.
        """
        if text not in self._patterns:
            self._patterns[text] = parsed(text, self.work)
        return self._patterns[text]

    def found(self, pattern: str, text: str) -> bool:
        """Is a pattern found in a text?"""
        return matches(self.pattern(pattern), text, self.work)

    def as_written(self, value: Any) -> int:
        """The number of JSON as it stands there: with the order of members, and 1 is not 1.0."""
        return self._number(value, written=True)

    def equal(self, value: Any) -> int:
        """The number of a JSON value: 1 is 1.0, true is not 1, and members have no order."""
        return self._number(value, written=False)

    def shape(self, shape: Shape) -> int:
        """The number of a shape, the order of properties included."""
        key = id(shape), True
        if key not in self._seen:
            self.work.spend(20 + shape.entries, COMPARING)
            self._seen[key] = shape, self._numbered(shape.told(self.as_written))
        return self._seen[key][1]

    def listed(self, values: tuple[Any, ...]) -> dict[int, Any]:
        """Values that a schema lists, by their numbers."""
        if id(values) not in self._listed:
            self.work.spend(2 + len(values), COMPARING)
            self._listed[id(values)] = values, {self.equal(value): value for value in values}
        return self._listed[id(values)][1]

    def _numbered(self, told: Hashable) -> int:
        return self._numbers.setdefault(told, len(self._numbers))

    def _number(self, value: Any, *, written: bool) -> int:
        """Every list and object is looked into once, however often, and deep in others, it is met."""
        if not isinstance(value, (list, tuple, dict)):
            return self._numbered(_scalar(value, written=written))
        key = id(value), written
        if key not in self._seen:
            self.work.spend(2 + len(value), COMPARING)
            if isinstance(value, dict):
                members = [(name, self._number(one, written=written)) for name, one in value.items()]
                told: Hashable = type(value), tuple(members) if written else frozenset(members)
            else:
                told = list, tuple(self._number(one, written=written) for one in value)
            self._seen[key] = value, self._numbered(told)
        return self._seen[key][1]


def _scalar(value: Any, *, written: bool) -> Hashable:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float, repr(value) if written else value
    return type(value), value
