"""How large a grammar's text (GBNF) is, and how long llama.cpp would take for it: told before llama.cpp sees it.

llama.cpp parses recursively, copies what is repeated, and walks every leftmost path when it looks for left recursion,
also those that it knows already. So a short text can overflow the stack, fill the memory, or take for ever.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

from hd_edge.errors import ConfigError

MOST_BYTES = 256 * 1024  # of a grammar's text
MOST_NESTED = 2100  # brackets in brackets; the parser recurses, some 400 bytes of stack for each
MOST_REPEATED = 2000  # {m,n}: llama.cpp's own limit for one rule
MOST_ELEMENTS = 20_000  # with repetitions written out; alternatives cost their square
MOST_PATHS = 5_000_000  # from every rule down its leftmost rules; some 50 ns each

TEXT = r'"(?:[^"\\]|\\.)*"', r"\[(?:[^\]\\]|\\.)*\]", r"!?<[^>]*>"  # literal, class, token: what may hold anything
COMMENT = re.compile(rf"(?P<kept>{'|'.join(TEXT)})|#[^\r\n]*", re.DOTALL)
WORDS = re.compile(
    rf"(?P<literal>{TEXT[0]})|(?P<class>{TEXT[1]})|(?P<token>{TEXT[2]})"
    r"|(?P<times>\{\s*(?P<least>\d*)\s*(?P<comma>,?)\s*(?P<most>\d*)\s*\})|(?P<bracket>[()])|(?P<suffix>[*+?])"
    r"|(?P<defines>::=)|(?P<or>\|)|(?P<name>[A-Za-z0-9_-]+)|(?P<any>\.)",
    re.DOTALL,
)


@dataclass
class Item:
    """A part of an alternative.

    Attributes:
        rule: What it refers to, by name or, for brackets, by number; None: characters or a token.
        least: How often it stands there at least.
        times: How often it is written out.
    """

    rule: str | int | None
    least: int = 1
    times: int = 1


def check_size(text: str) -> None:
    """Refuses a grammar by its length, nesting, repetitions, elements with these written out, and leftmost paths.

    Raises:
        ConfigError: Names the limit and the value.
    """
    _at_most("bytes", len(text.encode("utf-8", "surrogatepass")), MOST_BYTES)
    depth = elements = last = 0  # last: size of what a repetition would repeat
    rules = _Rules()
    for word in WORDS.finditer(COMMENT.sub(lambda found: found["kept"] or " ", text)):
        kind, size = str(word.lastgroup), 1
        if kind in ("literal", "class"):
            size = len(word[0]) - 2
        elif kind == "bracket":
            depth += 1 if word[0] == "(" else -1
            _at_most("brackets in brackets", depth, MOST_NESTED)
        elif kind == "times":
            size = last * _times(word)
        elif kind == "suffix":
            size = last
        elif kind == "defines":
            size = 0
        elements, last = elements + size, max(size, 1)
        _at_most("elements with its repetitions written out", elements, MOST_ELEMENTS)
        rules.add(kind, word)
    _at_most("paths through the rules that may come first", rules.paths(), MOST_PATHS)


class _Rules:
    """The rules of a grammar as far as they are well formed; what llama.cpp cannot parse, it refuses at once."""

    def __init__(self) -> None:
        self._rules: dict[str | int | None, list[list[Item]]] = {None: [[]]}  # None: what stands before all rules
        self._open: list[str | int | None] = [None]
        self._known: dict[str | int | None, tuple[int, bool]] = {}  # paths, may be empty

    def add(self, kind: str, word: re.Match[str]) -> None:
        """The next word of the text."""
        alternatives = self._rules[self._open[-1]]
        items = alternatives[-1]
        if kind == "defines":
            name = items.pop().rule if items else None
            self._rules[name], self._open = [[]], [name]
        elif kind == "or":
            alternatives.append([])
        elif word[0] == "(":
            number = len(self._rules)
            items.append(Item(number))
            self._rules[number] = [[]]
            self._open.append(number)
        elif word[0] == ")":
            if len(self._open) > 1:
                self._open.pop()
        elif kind in ("times", "suffix"):
            if items:
                least = int(word["least"] or 0) if kind == "times" else int(word[0] == "+")
                items[-1].least, items[-1].times = least, max(_times(word), 1) if kind == "times" else 1
        elif kind == "name":
            items.append(Item(word[0]))
        elif word[0] not in ('""', "[]", "[^]"):
            items.append(Item(None))

    def paths(self) -> int:
        """Steps of llama.cpp's search for left recursion, or a few more; each rule is begun with once."""
        total = 0
        for rule in self._rules:
            waiting, on_way, answer = [(rule, self._visit(rule))], {rule}, None
            while waiting:
                name, visit = waiting[-1]
                try:
                    wanted = visit.send(answer)
                except StopIteration:
                    waiting.pop()
                    on_way.discard(name)
                    answer = self._known[name]
                    continue
                answer = self._known.get(wanted, (1, False) if wanted in on_way else None)
                if answer is None:
                    waiting.append((wanted, self._visit(wanted)))
                    on_way.add(wanted)
            total += self._known[rule][0]
            if total > MOST_PATHS:
                break
        return total

    def _visit(self, rule: str | int | None) -> Generator[str | int | None, tuple[int, bool] | None, None]:
        """Asks for the rules that may come first in this one; then it is known."""
        if rule in self._known:
            return
        total, may_be_empty = 1, False
        for items in self._rules.get(rule, []):
            for item in items:
                below, empty = (0, False) if item.rule is None else (yield item.rule) or (0, False)
                below += (item.least, item.times) != (1, 1) or item.rule is None  # a repetition is a rule of its own
                total += below * (item.times if empty else 1)
                if item.least and not empty:
                    break
            else:
                may_be_empty = True
        self._known[rule] = min(total, MOST_PATHS + 1), may_be_empty


def _times(word: re.Match[str]) -> int:
    numbers = [int(number) if len(number) < 9 else 10**9 for number in (word["least"], word["most"]) if number]
    times = max(numbers, default=0)
    _at_most("repetitions of one item", times, MOST_REPEATED)
    if word["most"] and times > numbers[-1]:  # llama.cpp would write out 2**64 of them
        msg = f"the grammar repeats an item {word[0]}: the second number must not be below the first"
        raise ConfigError(msg)
    return times


def _at_most(what: str, value: int, limit: int) -> None:
    if value > limit:
        msg = f"the grammar has {value} {what}, at most {limit} are taken: make it smaller"
        raise ConfigError(msg)
