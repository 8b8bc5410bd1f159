"""Finite automata over characters, made state by state: patterns, lengths and lists of texts can be held at once.

Thompson's construction and the products of automata are those of every textbook (Hopcroft, Motwani, Ullman:
Introduction to Automata Theory, chapters 2 and 4).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .work import Work

Range = tuple[int, int]  # of code points, both ends in it

FITTING = "fitting of names and values"  # what work is spent on
STATES = "states of patterns, lengths and names"
LAST = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)  # no characters
EVERY: list[Range] = [(0, SURROGATES[0] - 1), (SURROGATES[1] + 1, LAST)]


class Automaton(Protocol):
    """Reads a text character by character. A state of None accepts nothing, whatever follows."""

    @property
    def start(self) -> Hashable | None:
        """The state before the text."""
        ...

    @property
    def width(self) -> int:
        """Automata that take part in a step."""
        ...

    def step(self, state: Any, character: int) -> Hashable | None:
        """The state behind a character."""
        ...

    def accepts(self, state: Any) -> bool:
        """The text may end here."""
        ...

    def cuts(self, state: Any) -> Iterable[int]:
        """Characters at which ``step`` may begin to give another state."""
        ...

    def accepts_all(self, state: Any) -> bool:
        """Whatever follows is accepted; False where that is not known."""
        ...


class Length:
    """Texts of so many characters.

    Args:
        least: Characters.
        most: Characters; None: any number.
    """

    width = 1

    def __init__(self, least: int, most: int | None) -> None:
        self._least, self._most = least, most
        self.start: int | None = 0 if most is None or least <= most else None

    def step(self, state: int, character: int) -> int | None:  # noqa: ARG002
        """One more; as many as are needed are not told apart from more."""
        if self._most is None:
            return min(state + 1, self._least)
        return state + 1 if state < self._most else None

    def accepts(self, state: int) -> bool:
        """There are enough."""
        return state >= self._least

    def cuts(self, state: int) -> tuple[int, ...]:  # noqa: ARG002
        """All characters are alike."""
        return ()

    def accepts_all(self, state: int) -> bool:
        """Nothing bounds it above."""
        return self._most is None and self.accepts(state)


class Words:
    """A few texts. A state is the beginning of some: where those stand in order, and how many characters it has.

    Args:
        words: The texts.
    """

    width = 4  # it searches, others look up

    def __init__(self, words: Collection[str]) -> None:
        self._words = sorted(set(words))
        self.start: tuple[int, int, int] | None = (0, len(self._words), 0) if words else None

    def step(self, state: tuple[int, int, int], character: int) -> tuple[int, int, int] | None:
        """A longer beginning."""
        first, behind, length = state
        first += self.accepts(state)
        low = bisect_left(self._words, character, first, behind, key=lambda word: ord(word[length]))
        high = bisect_right(self._words, character, low, behind, key=lambda word: ord(word[length]))
        return (low, high, length + 1) if low < high else None

    def accepts(self, state: tuple[int, int, int]) -> bool:
        """It is one of them; no longer one stands before it."""
        return len(self._words[state[0]]) == state[2]

    def cuts(self, state: tuple[int, int, int]) -> list[int]:
        """Where one of them goes on."""
        first, behind, length = state
        cuts = []
        first += self.accepts(state)
        while first < behind:
            character = ord(self._words[first][length])
            cuts += [character, character + 1]
            first = bisect_right(self._words, character, first, behind, key=lambda word: ord(word[length]))
        return cuts

    def accepts_all(self, state: tuple[int, int, int]) -> bool:  # noqa: ARG002
        """Never."""
        return False


class Both:
    """What two automata accept.

    Args:
        first: One.
        second: The other.
    """

    def __init__(self, first: Automaton, second: Automaton) -> None:
        self._first, self._second = first, second
        self.start = _pair(first.start, second.start)
        self.width = 1 + first.width + second.width

    def step(self, state: tuple[Any, Any], character: int) -> Hashable | None:
        """Both go on."""
        return _pair(self._first.step(state[0], character), self._second.step(state[1], character))

    def accepts(self, state: tuple[Any, Any]) -> bool:
        """Both do."""
        return self._first.accepts(state[0]) and self._second.accepts(state[1])

    def cuts(self, state: tuple[Any, Any]) -> set[int]:
        """Those of both."""
        return {*self._first.cuts(state[0]), *self._second.cuts(state[1])}

    def accepts_all(self, state: tuple[Any, Any]) -> bool:
        """Both do."""
        return self._first.accepts_all(state[0]) and self._second.accepts_all(state[1])


def _pair(first: Hashable | None, second: Hashable | None) -> tuple[Hashable, Hashable] | None:
    return None if first is None or second is None else (first, second)


class Other:
    """What an automaton does not accept; a state is one of its own in a tuple, empty behind its last.

    Args:
        inner: The automaton.
    """

    def __init__(self, inner: Automaton) -> None:
        self._inner = inner
        self.width = 1 + inner.width
        self.start: tuple[Hashable, ...] | None = () if inner.start is None else (inner.start,)

    def step(self, state: tuple[Any, ...], character: int) -> tuple[Hashable, ...] | None:
        """As it goes on."""
        if not state:
            return state
        behind = self._inner.step(state[0], character)
        if behind is None:
            return ()
        return None if self._inner.accepts_all(behind) else (behind,)

    def accepts(self, state: tuple[Any, ...]) -> bool:
        """It does not."""
        return not state or not self._inner.accepts(state[0])

    def cuts(self, state: tuple[Any, ...]) -> Iterable[int]:
        """The same."""
        return self._inner.cuts(state[0]) if state else ()

    def accepts_all(self, state: tuple[Any, ...]) -> bool:
        """It has ended."""
        return state == ()


def matches(automaton: Automaton, text: str, work: Work) -> bool:
    """Is this text accepted?"""
    work.spend(2 + len(text) * automaton.width // 2, FITTING)
    state = automaton.start
    for character in text:
        if state is None:
            return False
        state = automaton.step(state, ord(character))
    return state is not None and automaton.accepts(state)


def allows_any(automaton: Automaton, work: Work) -> bool:
    """Is any text accepted?"""
    if automaton.start is None:
        return False
    seen, todo = {automaton.start}, [automaton.start]
    while todo:
        state = todo.pop()
        if automaton.accepts(state):
            return True
        new = [target for target in branches(automaton, state, work) if target not in seen]
        seen.update(new)
        todo += new
    return False


def branches(automaton: Automaton, state: Hashable, work: Work) -> dict[Hashable, list[Range]]:
    """Where a state goes, and with which characters."""
    cuts_inside = {0, *automaton.cuts(state)}
    work.spend(2 + len(cuts_inside) * automaton.width, STATES)
    targets: dict[Hashable, list[Range]] = {}
    for first, last in EVERY:
        cuts = sorted({first, *(cut for cut in cuts_inside if first < cut <= last)})
        for low, high in zip(cuts, [*(cut - 1 for cut in cuts[1:]), last], strict=True):
            target = automaton.step(state, low)
            if target is None:
                continue
            found = targets.setdefault(target, [])
            if found and found[-1][1] == low - 1:
                found[-1] = (found[-1][0], high)
            else:
                found.append((low, high))
    return targets


def united(ranges: list[Range]) -> list[Range]:
    """The same characters in order, without surrogates."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        for first, last in EVERY:
            clipped = max(low, first), min(high, last)
            if clipped[0] > clipped[1]:
                continue
            if merged and clipped[0] <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(merged[-1][1], clipped[1])
            else:
                merged.append(clipped)
    return merged


def complement(ranges: list[Range]) -> list[Range]:
    """All other characters."""
    left: list[Range] = []
    for first, last in EVERY:
        at = first
        for low, high in united(ranges):
            if low > last or high < first:
                continue
            if at < low:
                left.append((at, low - 1))
            at = high + 1
        if at <= last:
            left.append((at, last))
    return left
