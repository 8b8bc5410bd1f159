"""Elements of grammar rules, numbered as llama.cpp and ``native/grammar`` number them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Kind(IntEnum):
    """What an element is; its value is a rule, a code point, or a token."""

    END = 0
    OR = 1
    RULE = 2
    CHARACTER = 3
    NOT_CHARACTER = 4
    UPPER = 5
    OR_CHARACTER = 6
    ANY = 7
    TOKEN = 8
    NOT_TOKEN = 9


Element = tuple[int, int]


@dataclass
class Open:
    """A rule, or brackets, that the parser is in.

    Attributes:
        number: The rule's.
        last: Where the element begins that a repetition would repeat.
        elements: So far.
    """

    number: int
    last: int = 0
    elements: list[Element] = field(default_factory=list)
