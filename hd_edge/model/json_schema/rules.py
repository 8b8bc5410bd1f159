"""Rules of a grammar while it is written: named alternatives of terminals and of other rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hd_edge.errors import at_most

MOST_ALTERNATIVES = 60_000
MOST_CHARACTERS = 256 * 1024  # of the text; hd_edge/backend/gbnf.py takes no more

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
    """The rules so far. Each has alternatives; one without any allows no text."""

    def __init__(self) -> None:
        self._alternatives: dict[str, list[Alternative]] = {}
        self._size = 0
        self._characters = 0

    def new(self, kind: str) -> Name:
        """A rule without alternatives.

        Args:
            kind: What it is, for people who read the grammar.
        """
        name = f"{kind}-{len(self._alternatives)}"
        self._alternatives[name] = []
        return Name(name)

    def add(self, rule: Name, *parts: Part) -> None:
        """Adds an alternative.

        Raises:
            ConfigError: The grammar gets too large.
        """
        self._alternatives[rule.text].append(parts)
        self._size += 1
        self._characters += 16 + sum(1 + len(part if isinstance(part, str) else part.text) for part in parts)
        at_most("alternatives of rules to write", self._size, MOST_ALTERNATIVES)
        at_most("characters of grammar to write", self._characters, MOST_CHARACTERS)

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
        lines, shared, reached, todo = [f"root ::= {root.text}"], set[str](), {root.text}, [root.text]
        while todo:
            name = todo.pop()
            written = []
            for parts in dict.fromkeys(self._alternatives[name]):
                names = [part.text for part in parts if isinstance(part, Name)]
                if not productive.issuperset(names):
                    continue
                todo += [other for other in dict.fromkeys(names) if other not in reached]
                reached.update(names)
                written.append(" ".join(part if isinstance(part, str) else part.text for part in parts) or '""')
                shared.update(kind for part in parts if isinstance(part, str) for kind in SHARED if part in _uses(kind))
            lines.append(f"{name} ::= {' | '.join(written)}")
        needed = shared.union(*(NEEDS.get(kind, ()) for kind in shared))
        return "\n".join([*lines, *(f"{kind} ::= {SHARED[kind]}" for kind in SHARED if kind in needed)])


def _uses(kind: str) -> tuple[str, str]:
    return kind, f"{kind}*"


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
