"""Reads patterns as ECMA-262 has them."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, NoReturn

from hd_edge.errors import SchemaError, at_most, refuse

from .automaton import Range, complement, united
from .pattern import Fragment, Nodes, Pattern, Taken

if TYPE_CHECKING:
    from .work import Work

READING = "reading of patterns"  # what work is spent on
MOST_CHARACTERS = 4000
MOST_NESTED = 60  # groups in groups
MOST_TIMES = 2000
MOST_PLACES = 8000  # with repetitions written out

DIGITS: list[Range] = [(0x30, 0x39)]
WORD: list[Range] = [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
LINE_ENDS: list[Range] = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]
SPACES: list[Range] = [
    *[(0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)],
    *[(0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)],
]
SETS = {"d": DIGITS, "w": WORD, "s": SPACES}
CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
LOW_HALF = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
PROPERTY = re.compile(r"([pP])\{(?:gc=|General_Category=)?([A-Z][a-z]?)\}")
BRACES = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
PYTHONS = re.compile(r"\{,\d+\}")  # Python reads it as {0,n}, ECMA-262 as these characters
GROUP = re.compile(r"\((?:\?:|\?P?<[A-Za-z_]\w*>|(?!\?))")
ASSERTIONS = {"=": "a lookahead", "!": "a lookahead", "<": "a lookbehind"}


def parsed(text: str, work: Work) -> Pattern:
    """The automaton of a pattern.

    Args:
        text: The pattern.
        work: Of the conversion.

    Raises:
        ConfigError: It does not parse, is too large, or asks for what no automaton of ours can hold.
    """
    at_most("characters in a pattern", len(text), MOST_CHARACTERS)
    work.spend(10 + 3 * len(text), READING)
    return Parser(text, work).parse()


class Parser:
    """One pattern.

    Args:
        text: The pattern.
        work: Of the conversion.
    """

    def __init__(self, text: str, work: Work) -> None:
        self._text, self._at = text, 0
        self._work = work
        self._nodes = Nodes(work)
        self._taken: dict[int, tuple[Taken, int]] = {}  # what is repeated is read again, but not its sets
        self._depth = 0

    def parse(self) -> Pattern:
        """Parses all of it.

        Raises:
            ConfigError: As ``parsed``.
        """
        whole = self._alternatives()
        if self._at < len(self._text):
            self._fail("a bracket ) closes none")
        return Pattern(self._nodes.nodes, whole, self._work)

    def _alternatives(self) -> Fragment:
        found = [self._sequence()]
        while self._take("|"):
            found.append(self._sequence())
        return self._nodes.either(found)

    def _sequence(self) -> Fragment:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated())
        return self._nodes.chain(parts)

    def _repeated(self) -> Fragment:
        start = self._at
        atom = self._atom()
        quantified = self._at < len(self._text) and (
            self._text[self._at] in "*+?" or BRACES.match(self._text, self._at)
        )
        if not quantified:
            return atom
        if self._nodes.nodes[atom[0]].edge:
            self._fail("^ or $ is repeated")
        least, most = self._times()
        behind = self._at
        made = [atom]

        def make() -> Fragment:
            """The same atom again: it is read again."""
            if made:
                return made.pop()
            self._at = start
            return self._atom()

        repeated = self._nodes.repeated(make, least, most)
        self._at = behind
        self._take("?")  # lazy or not, the texts are the same
        if self._at < len(self._text) and (self._text[self._at] in "*+?" or BRACES.match(self._text, self._at)):
            self._fail("a repetition is repeated: put it into (?:...)")
        return repeated

    def _times(self) -> tuple[int, int | None]:
        found = BRACES.match(self._text, self._at)
        if found is None:
            self._at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._text[self._at - 1]]
        least = int(found[1][:9])
        most = int(found[3][:9]) if found[3] else None if found[2] else least
        at_most("repetitions in a pattern", max(least, most or 0), MOST_TIMES, kind=SchemaError)
        if most is not None and most < least:
            self._fail(f"the numbers of {found[0]} are out of order")
        self._at = found.end()
        return least, most

    def _atom(self) -> Fragment:
        at_most("places in a pattern, repetitions written out", len(self._nodes.nodes), MOST_PLACES, kind=SchemaError)
        character = self._text[self._at]
        if character == "(":
            return self._group()
        if PYTHONS.match(self._text, self._at):
            self._fail("regular expressions differ on {,n}: write {0,n}")
        if character in "*+?" or BRACES.match(self._text, self._at):
            self._fail("there is nothing to repeat")
        if character in "^$":
            self._at += 1
            return self._nodes.single(edge=character)
        start = self._at
        if start not in self._taken:
            taken = self._nodes.taken(self._characters(character))
            self._taken[start] = taken, self._at
        taken, self._at = self._taken[start]
        return self._nodes.single(taken)

    def _characters(self, first: str) -> list[Range]:
        """What one place takes."""
        if first == "[":
            return self._class()
        self._at += 1
        if first == ".":
            return complement(LINE_ENDS)
        if first == "\\":
            return self._escape(in_class=False)
        return [(ord(first), ord(first))]

    def _group(self) -> Fragment:
        found = GROUP.match(self._text, self._at)
        if found is None:
            kind = ASSERTIONS.get(self._text[self._at + 2 : self._at + 3], "such a group")
            self._fail(f"{kind} cannot be held")
        at_most("groups in groups of a pattern", self._depth, MOST_NESTED)
        self._depth += 1
        self._at = found.end()
        inner = self._alternatives()
        if not self._take(")"):
            self._fail("a bracket ( is not closed")
        self._depth -= 1
        return self._nodes.chain([self._nodes.single(), inner])  # whatever it holds, it is no edge

    def _class(self) -> list[Range]:
        self._at += 1
        other = self._take("^")
        ranges: list[Range] = []
        while not self._take("]"):
            low = self._class_atom()
            if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._class_atom()
                if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1]:
                    self._fail("a range goes from one character to another")
                if low[0][0] > high[0][0]:
                    self._fail("a range is out of order")
                ranges.append((low[0][0], high[0][0]))
            else:
                ranges += low
        return complement(ranges) if other else united(ranges)

    def _class_atom(self) -> list[Range]:
        if self._at >= len(self._text):
            self._fail("a bracket [ is not closed")
        character = self._text[self._at]
        self._at += 1
        return self._escape(in_class=True) if character == "\\" else [(ord(character), ord(character))]

    def _escape(self, *, in_class: bool) -> list[Range]:
        """What stands behind a backslash."""
        if self._at >= len(self._text):
            self._fail("it ends with a backslash")
        character = self._text[self._at]
        if character.lower() in SETS:
            self._at += 1
            known = SETS[character.lower()]
            return known if character.islower() else complement(known)
        if found := PROPERTY.match(self._text, self._at):
            self._at = found.end()
            known = category(found[2])
            if not known:
                self._fail(f"there is no category {found[2]}")
            self._work.spend(4 * len(known), READING)
            return known if found[1] == "p" else complement(known)
        if character in "xu":
            code = self._code()
            return [(code, code)]
        self._at += 1
        if character in CONTROLS and not self._text[self._at : self._at + 1].isdigit():
            return [(CONTROLS[character],) * 2]
        if in_class and character == "b":
            return [(8, 8)]
        if character.isalnum():
            what = {"b": "the edge of a word", "B": "the edge of a word", "k": "a backreference"}.get(
                character, "a backreference" if character.isdigit() else "this escape"
            )
            self._at -= 1
            self._fail(f"{what}, \\{character}, cannot be held")
        return [(ord(character), ord(character))]

    def _code(self) -> int:
        found = CODE.match(self._text, self._at)
        if found is None:
            self._fail("there is no such escape")
        self._at = found.end()
        code = int(found[1] or found[2] or found[3], 16)
        if 0xD800 <= code <= 0xDBFF and (low := LOW_HALF.match(self._text, self._at)):
            self._at = low.end()
            code = 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            self._fail("half a surrogate pair is no character")
        return code

    def _take(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _fail(self, what: str) -> NoReturn:
        refuse(SchemaError, f"pattern {self._text[:60]!r}: {what} (at character {self._at})")


@cache  # of at most 702 names
def category(name: str) -> list[Range]:
    """The characters of a general category, such as ``L`` or ``Lu``; empty: there is none of this name."""
    return united([(first, last) for first, last, kind in _categories() if kind.startswith(name)])


@cache
def _categories() -> list[tuple[int, int, str]]:
    """Characters that follow each other in one category, from the first one to the last."""
    codes = groupby(range(sys.maxunicode + 1), key=lambda code: unicodedata.category(chr(code)))
    found = []
    for kind, run in codes:
        first = next(run)
        found.append((first, first + sum(1 for _ in run), kind))
    return found
