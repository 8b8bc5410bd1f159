"""Rules of a grammar while it is written: named alternatives of terminals and of other rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hd_edge.errors import ConfigError, at_most

if TYPE_CHECKING:
    from .work import Work

MOST_ALTERNATIVES = 60_000
MOST_CHARACTERS = 256 * 1024  # of the text; hd_edge/backend/gbnf.py takes no more
RULES = "rules of grammar"  # what work is spent on
SHORT = 16  # characters of a rule that stands wherever it is named

SHARED = {  # rules that every grammar may use
    "char": r'[ !#-\[\]-\uD7FF\uE000-\U0010FFFF] | "\\" (["\\/bfnrt] | "u" unit)',
    # a code unit; half a surrogate pair only with the other half, so that a char is one character
    "unit": r'hex3 hex | [dD] [89abAB] hex hex "\\u" [dD] [c-fC-F] hex hex',
    "hex3": "[0-9a-cA-Ce-fE-F] hex hex | [dD] [0-7] hex",
    "hex": "[0-9a-fA-F]",
    "space": '" "?',
    "integer": '"-"? ("0" | [1-9] [0-9]{0,15})',
    "number": 'integer ("." [0-9]{1,16})? ([eE] [-+]? [0-2]? [0-9]{1,2})?',
}
NEEDS = {"char": ("unit", "hex3", "hex"), "number": ("integer",)}


@dataclass(frozen=True)
class Name:
    """A rule, where an alternative names it."""

    text: str


Part = str | Name  # GBNF of a terminal, or a rule
Alternative = tuple[Part, ...]


class Rules:
    """The rules so far. Each has alternatives; one without any allows no text.

    Args:
        work: Of the conversion.
        sketch: All that is asked of them is whether they allow a text.

    Attributes:
        work: The same.
        sketch: The same.
    """

    def __init__(self, work: Work, *, sketch: bool = False) -> None:
        self.work, self.sketch = work, sketch
        self._alternatives: dict[str, list[Alternative]] = {}
        self._size = 0
        self._characters, self._most = 0, MOST_CHARACTERS

    def new(self, kind: str) -> Name:
        """A rule without alternatives.

        Args:
            kind: What it is, for people who read the grammar.
        """
        self.work.spend(2, RULES)
        name = f"{kind}-{len(self._alternatives)}"
        self._alternatives[name] = []
        return Name(name)

    def add(self, rule: Name, *parts: Part) -> None:
        """Adds an alternative.

        Raises:
            ConfigError: The grammar gets too large.
        """
        characters = 16 + sum(1 + len(part if isinstance(part, str) else part.text) for part in parts)
        self.work.spend(6 + characters // 16, RULES)
        self._alternatives[rule.text].append(parts)
        self._size += 1
        self._characters += characters
        at_most("alternatives of rules to write", self._size, MOST_ALTERNATIVES)
        at_most("characters of grammar to write", self._characters, self._most)

    @contextmanager
    def tried(self, characters: int) -> Iterator[None]:
        """Rules of so many characters at most; where this block raises, there are none of them.

        Raises:
            ConfigError: The grammar gets too large.
        """
        before = len(self._alternatives), self._size, self._characters
        most, self._most = self._most, min(self._most, self._characters + characters)
        try:
            yield
        except ConfigError:
            count, self._size, self._characters = before
            for name in list(self._alternatives)[count:]:
                del self._alternatives[name]
            raise
        finally:
            self._most = most

    def clear(self, rule: Name) -> None:
        """Takes its alternatives away."""
        self._alternatives[rule.text] = []

    def of(self, kind: str, alternatives: Iterable[Alternative]) -> Name:
        """A rule with these alternatives."""
        rule = self.new(kind)
        for parts in alternatives:
            self.add(rule, *parts)
        return rule

    def productive(self) -> set[str]:
        """The rules that allow a text that ends."""
        waiting: dict[str, list[tuple[str, list[int]]]] = {}
        found: set[str] = set()
        done: list[str] = []
        for name, alternatives in self._alternatives.items():
            for parts in alternatives:
                needed = {part.text for part in parts if isinstance(part, Name)}
                left = [len(needed)]
                for other in needed:
                    waiting.setdefault(other, []).append((name, left))
                if not needed and name not in found:
                    found.add(name)
                    done.append(name)
        while done:
            for name, left in waiting.get(done.pop(), ()):
                left[0] -= 1
                if left[0] == 0 and name not in found:
                    found.add(name)
                    done.append(name)
        return found

    def text(self, root: Name) -> str | None:
        """GBNF of what the rule ``root`` reaches; None if it allows no text."""
        productive = self.productive()
        if root.text not in productive:
            return None
        kept: dict[str, list[Alternative]] = {}
        todo, uses = [root.text], Counter[str]()
        while todo:
            name = todo.pop()
            if name in kept:
                continue
            ways = dict.fromkeys(self._alternatives[name])
            kept[name] = [parts for parts in ways if productive.issuperset(_names(parts))]
            uses.update(other for parts in kept[name] for other in _names(parts))
            todo += [other for parts in kept[name] for other in _names(parts)]
        return _written(kept, root.text, uses)


def _written(rules: dict[str, list[Alternative]], root: str, uses: Counter[str]) -> str:
    """GBNF, short: a rule with one way stands where it is named, if that is once, or if it is short itself."""
    inlined = {
        name: ways[0]
        for name, ways in rules.items()
        if len(ways) == 1 and name != root and (uses[name] == 1 or _is_short(ways[0]))
    }
    left = {name: f"r{place}" for place, name in enumerate(rules) if name not in inlined}
    left[root] = "root"
    lines, shared = [], set[str]()
    for name, new in left.items():
        ways = []
        for parts in rules[name]:
            flat = _flat(parts, inlined)
            shared.update(part.rstrip("*") for part in flat if isinstance(part, str) and part.rstrip("*") in SHARED)
            ways.append(" ".join(part if isinstance(part, str) else left[part.text] for part in _joined(flat)) or '""')
        lines.append(f"{new} ::= {' | '.join(ways)}")
    needed = shared.union(*(NEEDS.get(kind, ()) for kind in shared))
    return "\n".join([*lines, *(f"{kind} ::= {SHARED[kind]}" for kind in SHARED if kind in needed)])


def _names(parts: Alternative) -> list[str]:
    return [part.text for part in parts if isinstance(part, Name)]


def _is_short(parts: Alternative) -> bool:
    if _names(parts):
        return len(parts) == 1
    return sum(map(len, parts)) <= SHORT  # type: ignore[arg-type]  # no name is left


def _flat(parts: Alternative, inlined: dict[str, Alternative]) -> list[Part]:
    """The parts, with those of the inlined rules in their places; a rule of one way never leads to itself."""
    flat: list[Part] = []
    todo = list(reversed(parts))
    while todo:
        part = todo.pop()
        if isinstance(part, Name) and part.text in inlined:
            todo += reversed(inlined[part.text])
        else:
            flat.append(part)
    return flat


def _joined(parts: list[Part]) -> list[Part]:
    """The same with literals that follow each other as one."""
    joined: list[Part] = []
    for part in parts:
        before = joined[-1] if joined else None
        if (
            isinstance(part, str)
            and isinstance(before, str)
            and part[:1] == before[:1] == '"'
            and part[-1] == before[-1] == '"'
        ):
            joined[-1] = before[:-1] + part[1:]
        else:
            joined.append(part)
    return joined


def times(rules: Rules, parts: Alternative, least: int, most: int | None) -> Alternative:
    """Something so many times: numbers are halved again and again, 10,000 times are some 30 rules, no text fits twice.

    Args:
        rules: Where new rules go.
        parts: What is repeated.
        least: Times.
        most: Times; None: any number.
    """
    exact: dict[int, Name] = {}
    up_to: dict[int, Name] = {}

    def exactly(n: int) -> Alternative:
        if n <= 2:
            return parts * n
        if n not in exact:
            half = exactly(n // 2)
            exact[n] = rules.of("times", [half + half + parts * (n % 2)])
        return (exact[n],)

    def at_most_times(n: int) -> Alternative:
        if n == 0:
            return ()
        if n not in up_to:
            half = (n + 1) // 2
            up_to[n] = rules.of("upto", [exactly(half) + at_most_times(n - half), at_most_times(half - 1)])
        return (up_to[n],)

    if most is None:
        if len(parts) == 1 and parts[0] in SHARED:
            return (*exactly(least), f"{parts[0]}*")
        more = rules.new("more")
        rules.add(more, *parts, more)
        rules.add(more)
        return (*exactly(least), more)
    return (*exactly(least), *at_most_times(most - least))
