"""Patterns (regular expressions as ECMA-262 has them) as automata.

A pattern may stand anywhere in a text, so it is searched for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .automaton import Range
    from .work import Work

PLACES = "places of patterns"


@dataclass(eq=False, slots=True)
class Taken:
    """Characters that some places take; the same object for the same ones.

    Attributes:
        ranges: In order, none next to another.
    """

    ranges: tuple[Range, ...]


@dataclass(slots=True)
class Node:
    """A place in a pattern.

    Attributes:
        takes: Characters that lead on; None: none is needed.
        then: Places behind it.
        edge: ``"^"`` or ``"$"``: it leads on only at the beginning, or at the end.
    """

    takes: Taken | None = None
    then: list[int] = field(default_factory=list)
    edge: str = ""


Fragment = tuple[int, int]  # the node it begins with, and the one it ends with


class Nodes:
    """The places of one pattern, made fragment by fragment (Thompson's construction).

    Args:
        work: Of the conversion.
    """

    def __init__(self, work: Work) -> None:
        self.nodes: list[Node] = []
        self._work = work
        self._taken: dict[tuple[Range, ...], Taken] = {}

    def new(self, takes: Taken | None = None, edge: str = "") -> int:
        """Another place."""
        self._work.spend(5, PLACES)  # with all that is done with each once
        self.nodes.append(Node(takes, edge=edge))
        return len(self.nodes) - 1

    def taken(self, ranges: list[Range]) -> Taken:
        """These characters."""
        return self._taken.setdefault(tuple(ranges), Taken(tuple(ranges)))

    def single(self, takes: Taken | None = None, edge: str = "") -> Fragment:
        """One character, one edge, or nothing."""
        first, last = self.new(takes, edge), self.new()
        self.nodes[first].then.append(last)
        return first, last

    def chain(self, fragments: list[Fragment]) -> Fragment:
        """One behind the other."""
        if not fragments:
            return self.single()
        for (_, last), (first, _) in pairwise(fragments):
            self.nodes[last].then.append(first)
        return fragments[0][0], fragments[-1][1]

    def either(self, fragments: list[Fragment]) -> Fragment:
        """One of them."""
        if len(fragments) == 1:
            return fragments[0]
        start, end = self.new(), self.new()
        for first, last in fragments:
            self.nodes[start].then.append(first)
            self.nodes[last].then.append(end)
        return start, end

    def repeated(self, make: Callable[[], Fragment], least: int, most: int | None) -> Fragment:
        """Made anew for each time."""
        parts = [make() for _ in range(least)]
        for _ in range(1 if most is None else most - least):
            first, last = make()
            start, end = self.new(), self.new()
            self.nodes[start].then += [first, end]
            self.nodes[last].then.append(start if most is None else end)
            parts.append((start, end))
        return self.chain(parts)


class Pattern:
    """The automaton of a pattern. Its states are sets of places, numbered as they are met, and made once each.

    Args:
        nodes: Its places.
        whole: Its first place and its last.
        work: Of the conversion.
    """

    width = 1
    _ALL = 0  # the state of a text in which it was found

    def __init__(self, nodes: list[Node], whole: Fragment, work: Work) -> None:
        self._nodes, self._work = nodes, work
        self._skipped: dict[int, int] = {}
        self._first, self._last = self._skip(whole[0]), whole[1]
        self._then = [tuple(map(self._skip, node.then)) for node in nodes]
        self._free = [
            then if node.takes is None and not node.edge else () for node, then in zip(nodes, self._then, strict=True)
        ]
        self._stays = [node.edge == "$" or bool(node.takes and node.takes.ranges) for node in nodes]
        self._states = [(False, b"")]  # whether it is at the beginning, and the places, of each
        self._numbers: dict[tuple[bool, bytes], int] = {}
        self._ways: dict[int, tuple[list[int], list[int | None]]] = {self._ALL: ([0], [self._ALL])}
        self._ends: dict[int, bool] = {self._ALL: True}
        self.start = self._state({self._first}, at_start=True)

    def _state(self, places: set[int], *, at_start: bool) -> int | None:
        reached = self._closure(places, "^" if at_start else "")
        if self._last in reached:
            return self._ALL
        left = sorted(place for place in reached if self._stays[place])
        if not left:
            return None
        key = at_start, array("I", left).tobytes()  # a set of them would take ten times the memory
        if key not in self._numbers:
            self._work.spend(2, PLACES)
            self._numbers[key] = len(self._states)
            self._states.append(key)
        return self._numbers[key]

    def _places(self, state: int) -> Iterable[int]:
        return memoryview(self._states[state][1]).cast("I")

    def _skip(self, place: int) -> int:
        """The first place behind it, or itself, from which there is no way or more than one, or one that is bound."""
        passed = []
        while place not in self._skipped:
            node = self._nodes[place]
            if node.takes is not None or node.edge or len(node.then) != 1:
                break
            passed.append(place)
            place = node.then[0]
        place = self._skipped.get(place, place)
        self._skipped.update(dict.fromkeys(passed, place))
        return place

    def _closure(self, places: set[int], edges: str) -> set[int]:
        """The places that are reached without a character, where these edges are."""
        reached, todo = set(places), list(places)
        free = self._free
        while todo:
            place = todo.pop()
            bound = edges and self._nodes[place].edge
            behind = self._then[place] if bound and bound in edges else free[place]
            for then in behind:
                if then not in reached:
                    reached.add(then)
                    todo.append(then)
        self._work.spend(1 + len(reached) // 4, PLACES)
        return reached

    def step(self, state: int, character: int) -> int | None:
        """Behind a character, where the pattern may begin anew."""
        cuts, behind = self._on(state)
        return behind[bisect_right(cuts, character) - 1]

    def _on(self, state: int) -> tuple[list[int], list[int | None]]:
        """The first characters of parts that are alike, and the state behind each part."""
        if state not in self._ways:
            self._ways[state] = self._parted(state)
        return self._ways[state]

    def _parted(self, state: int) -> tuple[list[int], list[int | None]]:
        after: dict[Taken, set[int]] = {}
        for place in self._places(state):
            node = self._nodes[place]
            if node.takes is not None:
                after.setdefault(node.takes, set()).update(self._then[place])
        self._work.spend(1 + sum(len(taken.ranges) for taken in after), PLACES)
        turns: dict[int, list[Taken]] = {}  # what begins to be taken, or no longer is, at a character
        for taken in after:
            for low, high in taken.ranges:
                turns.setdefault(low, []).append(taken)
                turns.setdefault(high + 1, []).append(taken)
        now, known = set[Taken](), dict[frozenset[Taken], int | None]()
        cuts, behind = [], list[int | None]()
        for cut in sorted({0, *turns}):
            now.symmetric_difference_update(turns.get(cut, ()))
            self._work.spend(1 + len(now) // 8, PLACES)
            alike = frozenset(now)
            if alike not in known:
                places = {self._first}.union(*(after[taken] for taken in alike))
                known[alike] = self._state(places, at_start=False)
            cuts.append(cut)
            behind.append(known[alike])
        return cuts, behind

    def accepts(self, state: int) -> bool:
        """It was found, or is at the end."""
        if state not in self._ends:
            at_start, places = self._states[state][0], set(self._places(state))
            ends = any(self._nodes[place].edge for place in places)
            self._ends[state] = ends and self._last in self._closure(places, "^$" if at_start else "$")
        return self._ends[state]

    def cuts(self, state: int) -> list[int]:
        """The ends of what its places take."""
        return self._on(state)[0]

    def accepts_all(self, state: int) -> bool:
        """It was found."""
        return state == self._ALL
