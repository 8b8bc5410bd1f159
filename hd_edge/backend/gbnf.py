"""Parses grammars (GBNF) as llama.cpp does, within bounds: it would recurse, copy what is repeated, and print.

Rules come out as llama.cpp numbers their elements: `S*` becomes a rule of its own, `S' ::= S S' |`, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from hd_edge import _native
from hd_edge.errors import ConfigError, at_most

from .gbnf_rules import Element, Kind, Open

GRAMMAR = "the grammar"
MOST_BYTES = 256 * 1024  # of its text
MOST_NESTED = 2100  # brackets in brackets
MOST_REPEATED = 2000  # {m,n}
MOST_ELEMENTS = 200_000  # characters, names and alternatives, with repetitions written out

SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
NAME = re.compile(r"[A-Za-z0-9-]+")
NUMBER = re.compile(r"[0-9]+")
TOKEN_ID = re.compile(r"<\[([0-9]+)\]>")
TOKEN = re.compile(r"<[^>]*>")
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([trn\\\"\[\]-]))")
ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}


def parse(text: str, root: str, token: Callable[[str], int]) -> _native.GrammarRules:
    """The rules of a grammar.

    Args:
        text: GBNF.
        root: Name of the rule that a text begins with.
        token: The id of a token's text, such as ``<think>``, or -1.

    Raises:
        ConfigError: What is wrong, and where; or the limit and the value.
    """
    at_most("bytes", len(text.encode("utf-8", "surrogatepass")), MOST_BYTES, GRAMMAR)
    return Parser(text, token).rules(root)


class Parser:
    """One grammar.

    Args:
        text: GBNF.
        token: The id of a token's text, or -1.
    """

    def __init__(self, text: str, token: Callable[[str], int]) -> None:
        self._text, self._token = text, token
        self._at = 0
        self._size = 0  # elements so far
        self._numbers: dict[str, int] = {}
        self._rules: list[list[Element]] = []
        self._open: list[Open] = []

    def rules(self, root: str) -> _native.GrammarRules:
        """Parses all of it.

        Raises:
            ConfigError: As ``parse``.
        """
        self._skip(LINES)
        while self._at < len(self._text):
            self._rule()
        for name, number in self._numbers.items():
            if not self._rules[number]:
                self._fail(f"the rule {name!r} is used and not defined")
        if root not in self._numbers:
            self._fail(f"a rule {root!r} is expected")
        kinds, values = np.array([element for rule in self._rules for element in rule], np.int64).T
        return _native.GrammarRules(kinds.astype(np.int32), values.astype(np.uint32), self._numbers[root])

    def _rule(self) -> None:
        number = self._number(self._word(NAME, "a name"))
        self._skip(SPACE)
        if not self._take("::="):
            self._fail("'::=' is expected")
        self._skip(LINES)
        self._open = [Open(number)]
        while self._at < len(self._text) and self._part(self._open[-1]):
            pass
        if len(self._open) > 1:
            self._fail("')' is expected")
        self._close()
        if self._at < len(self._text) and self._text[self._at] not in "\r\n":
            self._fail("the end of a line is expected")
        self._skip(LINES)

    def _part(self, rule: Open) -> bool:
        """One part of a rule; False where its text ends."""
        character = self._text[self._at]
        if character in "*+?{":
            self._repetition(rule)
        elif character == "|":
            self._at += 1
            self._add(rule, Kind.OR, 0)
            rule.last = len(rule.elements)
            self._skip(LINES)
        elif character == "(":
            self._at += 1
            at_most("brackets in brackets", len(self._open), MOST_NESTED, GRAMMAR)
            self._open.append(Open(self._new_rule()))
            self._skip(LINES)
        elif character == ")" and len(self._open) > 1:
            self._at += 1
            number = self._close()
            rule = self._open[-1]
            rule.last = len(rule.elements)
            self._add(rule, Kind.RULE, number)
            self._skip_behind()
        elif character in '"[<!.' or NAME.match(character):
            rule.last = len(rule.elements)
            self._atom(rule, character)
            self._skip_behind()
        else:
            return False
        return True

    def _atom(self, rule: Open, first: str) -> None:
        if first == '"':
            self._at += 1
            while not self._take('"'):
                self._add(rule, Kind.CHARACTER, self._character())
        elif first == "[":
            self._at += 1
            kind = Kind.NOT_CHARACTER if self._take("^") else Kind.CHARACTER
            while not self._take("]"):
                self._add(rule, kind, self._character())
                kind = Kind.OR_CHARACTER
                if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                    self._at += 1
                    self._add(rule, Kind.UPPER, self._character())
        elif first in "<!":
            kind = Kind.NOT_TOKEN if self._take("!") else Kind.TOKEN
            self._add(rule, kind, self._token_id())
        elif first == ".":
            self._at += 1
            self._add(rule, Kind.ANY, 0)
        else:
            self._add(rule, Kind.RULE, self._number(self._word(NAME, "a name")))

    def _repetition(self, rule: Open) -> None:
        """``S{m,n}`` is S m times, then n - m rules, each of which is S and the one before it, or nothing."""
        where = self._at
        least, most = self._times()
        repeated = rule.elements[rule.last :]
        if not repeated:
            self._at = where
            self._fail("something to repeat is expected before it")
        del rule.elements[rule.last :]
        self._grow(len(repeated) * (max(least, 1) + (least if most is None else most) - least + 1))
        rule.elements += repeated * least
        more = None
        for _ in range(1 if most is None else most - least):
            number = self._new_rule()
            again = number if most is None else more
            tail = [] if again is None else [(int(Kind.RULE), again)]
            self._rules[number] = [*repeated, *tail, (int(Kind.OR), 0), (int(Kind.END), 0)]
            self._grow(3)
            more = number
        if more is not None:
            self._add(rule, Kind.RULE, more)

    def _times(self) -> tuple[int, int | None]:
        """How often, at least and at most (None: any number); goes behind it."""
        sign = self._text[self._at]
        self._at += 1
        if sign != "{":
            self._skip_behind()
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        self._skip_behind()
        least = self._count()
        most: int | None = least
        if self._take(","):
            self._skip_behind()
            most = self._count() if NUMBER.match(self._text, self._at) else None
        if not self._take("}"):
            self._fail("'}' is expected")
        if most is not None and most < least:
            msg = f"the grammar repeats an item {least} to {most} times: the second number must not be below the first"
            raise ConfigError(msg)
        self._skip_behind()
        return least, most

    def _count(self) -> int:
        digits = self._word(NUMBER, "a number")
        count = int(digits) if len(digits) < 9 else 10**9
        at_most("repetitions of one item", count, MOST_REPEATED, GRAMMAR)
        self._skip_behind()
        return count

    def _character(self) -> int:
        """The next character of a literal or a class."""
        if self._at >= len(self._text):
            self._fail("the end of a literal or a class is expected")
        if self._text[self._at] != "\\":
            self._at += 1
            return ord(self._text[self._at - 1])
        found = ESCAPE.match(self._text, self._at)
        if found is None:
            self._fail("there is no such escape")
        self._at = found.end()
        digits = found[1] or found[2] or found[3]
        return int(digits, 16) if digits else ord(ESCAPED.get(found[4], found[4]))

    def _token_id(self) -> int:
        if found := TOKEN_ID.match(self._text, self._at):
            number = int(found[1][:12])
        elif found := TOKEN.match(self._text, self._at):
            number = self._token(found[0])
        if found is None or not 0 <= number < 2**31:
            self._fail("one token of the vocabulary is expected")
        self._at = found.end()
        return number

    def _close(self) -> int:
        rule = self._open.pop()
        self._add(rule, Kind.END, 0)
        self._rules[rule.number] = rule.elements
        return rule.number

    def _number(self, name: str) -> int:
        """The number of a named rule."""
        if name not in self._numbers:
            self._numbers[name] = self._new_rule()
        return self._numbers[name]

    def _new_rule(self) -> int:
        self._rules.append([])
        return len(self._rules) - 1

    def _add(self, rule: Open, kind: Kind, value: int) -> None:
        rule.elements.append((int(kind), value))
        self._grow(1)

    def _grow(self, elements: int) -> None:
        self._size += elements
        at_most("elements with its repetitions written out", self._size, MOST_ELEMENTS, GRAMMAR)

    def _skip(self, space: re.Pattern[str]) -> None:
        if found := space.match(self._text, self._at):
            self._at = found.end()

    def _skip_behind(self) -> None:
        """Space behind a part: in brackets a line may end there."""
        self._skip(LINES if len(self._open) > 1 else SPACE)

    def _take(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _word(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            self._fail(f"{what} is expected")
        self._at = found.end()
        return found[0]

    def _fail(self, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        msg = f"cannot parse the grammar: {what} in line {line}, at {self._text[self._at : self._at + 40]!r}"
        raise ConfigError(msg)
