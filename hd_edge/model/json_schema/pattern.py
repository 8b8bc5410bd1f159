"""Patterns (regular expressions as ECMA-262 has them) as automata.

A pattern may stand anywhere in a text, so it is searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .automaton import Range


@dataclass
class Node:
    """A place in a pattern.

    Attributes:
        takes: Characters that lead on; None: none is needed.
        then: Places behind it.
        edge: ``"^"`` or ``"$"``: it leads on only at the beginning, or at the end.
    """

    takes: list[Range] | None = None
    then: list[int] = field(default_factory=list)
    edge: str = ""


Fragment = tuple[int, int]  # the node it begins with, and the one it ends with


class Nodes:
    """The places of one pattern, made fragment by fragment (Thompson's construction)."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def new(self, takes: list[Range] | None = None, edge: str = "") -> int:
        """Another place."""
        self.nodes.append(Node(takes, edge=edge))
        return len(self.nodes) - 1

    def single(self, takes: list[Range] | None = None, edge: str = "") -> Fragment:
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
    """The automaton of a pattern, whose states are sets of places.

    Args:
        nodes: Its places.
        whole: Its first place and its last.
        too_much: Raises an error; called when too many places were looked at.

    Attributes:
        work: Places looked at.
    """

    _ALL = "all"  # the state of a text in which it was found

    def __init__(self, nodes: list[Node], whole: Fragment, too_much: Callable[[int], None]) -> None:
        self._nodes, (self._first, self._last) = nodes, whole
        self._too_much = too_much
        self.work = 0

    @cached_property
    def start(self) -> Hashable | None:
        """Before the text."""
        return self._state({self._first}, at_start=True)

    def _state(self, places: set[int], *, at_start: bool) -> Hashable | None:
        reached = self._closure(places, at_start=at_start, at_end=False)
        if self._last in reached:
            return self._ALL
        left = frozenset(place for place in reached if self._nodes[place].takes or self._nodes[place].edge == "$")
        return (at_start, left) if left else None

    def _closure(self, places: set[int], *, at_start: bool, at_end: bool) -> set[int]:
        reached, todo = set(places), list(places)
        while todo:
            node = self._nodes[todo.pop()]
            holds = not node.edge or (at_start if node.edge == "^" else at_end)
            if node.takes is not None or not holds:
                continue
            todo += [place for place in node.then if place not in reached]
            reached.update(node.then)
        self.work += len(reached)
        self._too_much(self.work)
        return reached

    def step(self, state: Any, character: int) -> Hashable | None:
        """Behind a character, where the pattern may begin anew."""
        if state == self._ALL:
            return self._ALL
        behind = {self._first}
        for place in state[1]:
            node = self._nodes[place]
            if node.takes is not None and any(low <= character <= high for low, high in node.takes):
                behind.update(node.then)
        return self._state(behind, at_start=False)

    def accepts(self, state: Any) -> bool:
        """It was found, or is at the end."""
        if state == self._ALL:
            return True
        return self._last in self._closure(set(state[1]), at_start=state[0], at_end=True)

    def cuts(self, state: Any) -> set[int]:
        """The ends of what its places take."""
        if state == self._ALL:
            return set()
        taken = [takes for place in state[1] if (takes := self._nodes[place].takes)]
        return {cut for ranges in taken for low, high in ranges for cut in (low, high + 1)}

    def accepts_all(self, state: Any) -> bool:
        """It was found."""
        return bool(state == self._ALL)
