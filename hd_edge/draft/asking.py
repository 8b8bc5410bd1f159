"""Asking: whether one more word of the drafter is worth what it costs, step by step and word by word.

The drafter reads along the likeliest path of the tree that the free tiers have grown, and is asked where most chance is
left uncovered: at the conversation's end where nobody knows anything, at the end of a copied passage where that ends.
What it says becomes candidates of the mixer (``Drafter.foretell``), and the tree is grown anew.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from hd_edge._native import Said, Tier

from .guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hd_edge import _native
    from hd_edge.draft.drafter.tier import DrafterTier

    from .cost import CostCurve

AHEAD = 4  # words that may follow the one that is asked for now
MOST = 24  # words in one step
RATE = 0.03  # of what is learned about the drafter at each word
FIRST_YIELD = 0.55  # of the uncovered chance that a word brings, until some were heard
PRICE_RATE = 0.1
STALL = 4.0  # a reading that takes so many times what it should was interrupted
TRIED = 64  # steps after which a drafter that is not worth asking is asked once


class Asking:
    """Decides for one planner when its drafter is asked.

    Args:
        tier: The drafter.
        native: Where its words become candidates.

    Attributes:
        spent: Forwards that asking has cost in this step.
        seconds: The same in seconds.
        words: How often the drafter was asked in this step.
        guard: Pauses asking while it loses.
    """

    def __init__(self, tier: DrafterTier, native: _native.Drafter) -> None:
        self.tier = tier
        self._native = native
        self.guard = Guard()
        self.spent = self.seconds = 0.0
        self.words = 0
        self._free: _native.DraftTree | None = None  # what would have been verified without the drafter
        self._curve: dict[int, float] = {}  # forwards by rows, as this step knows them
        self._rate = 1.0  # tokens per forward over one row, of late
        self._yield = FIRST_YIELD
        self._prices = [2 * tier.share, tier.share]  # forwards: of a step's first reading, and of another one
        self._unasked = 0  # steps

    def begin(self, tokens: Sequence[int]) -> None:
        """The conversation is now ``tokens``."""
        self.tier.begin(tokens)

    def forget(self) -> None:
        """A step begins."""
        if self.words:
            self._native.forget_forecast()
        self.spent = self.seconds = 0.0
        self.words = 0

    def extend(
        self, tree: _native.DraftTree, grow: Callable[[float], _native.DraftTree], cost: CostCurve, context: int
    ) -> _native.DraftTree:
        """The tree with what the drafter adds, as far as that pays; before any costs are known, the tree as it is."""
        one = cost.seconds(1, context)
        if one <= 0 or not cost.known or self.guard.paused:
            return tree
        sizes, prices = cost.relative(context)
        self._curve = curve = {int(n): float(price) for n, price in zip(sizes, prices, strict=True)}
        self._free = tree
        asked: set[tuple[int, ...]] = set()
        self._unasked += 1
        while True:
            path, open_chance = self._place(tree, asked)
            if open_chance <= 0 or self.words >= MOST:  # every place was asked at
                return tree
            tried = not asked and self._unasked >= TRIED
            if not tried and not self._worth(tree, curve, open_chance):
                return tree
            asked.add(path)
            before = _own(tree)
            if not self._ask(path, tree, one):
                return tree
            tree = grow(self.spent)
            gained = (_own(tree) - before) / max(open_chance, 1e-6)
            self._yield += RATE * (min(max(gained, 0.0), 1.0) - self._yield)

    def learn(self, rows: int, tokens: Sequence[int]) -> None:
        """After a step over so many rows that gave these tokens.

        What the drafter has gained is told exactly: the tree of the free tiers is there, and so is what it would have
        drafted of these tokens.
        """
        spent = self._curve.get(rows, float(rows)) + self.spent
        self._rate += RATE * (len(tokens) / max(spent, 1.0) - self._rate)
        if not self.words or self._free is None:
            self.guard.skip()
            return
        self._unasked = 0
        without = min(len(self._free.follow(list(tokens))), len(tokens))
        more = spent - self._curve.get(len(self._free), float(len(self._free)))
        self.guard.step(2, 0, more - (len(tokens) - without) / max(self._rate, 1.0))

    def append(self, tokens: Sequence[int]) -> None:
        """The conversation went on."""
        self.tier.append(tokens)

    def _place(self, tree: _native.DraftTree, asked: set[tuple[int, ...]]) -> tuple[tuple[int, ...], float]:
        """Where on the tree's likeliest path most chance is covered by no node; that path and chance."""
        parent, chance, token = tree.parent.tolist(), tree.probability.tolist(), tree.token.tolist()
        covered = [0.0] * len(token)
        for node in range(1, len(token)):
            covered[parent[node]] += chance[node]
        best: tuple[tuple[int, ...], float] = ((), 0.0)
        path: list[int] = []
        node = 0
        while True:
            left = chance[node] - covered[node]
            if left > best[1] and tuple(path) not in asked:
                best = tuple(path), left
            node += 1  # pre-order: the likeliest child comes first
            if node >= len(token) or parent[node] != node - 1 or chance[node] <= 0:
                return best
            path.append(token[node])

    def _worth(self, tree: _native.DraftTree, curve: dict[int, float], open_chance: float) -> bool:
        """Whether this word, perhaps with some behind it, promises more tokens per cost than the tree as it is."""
        now, rows, total = _value(tree, curve, self.spent), len(tree), 1 + _sum(tree)
        share, spent, lost = open_chance, self.spent, 0.0
        weakest = sorted(tree.probability[1:].tolist())
        for word in range(AHEAD):
            share *= self._yield
            total += share
            lost += weakest[word] if word < len(weakest) else 0.0
            spent += self._prices[0 if word == 0 and not self.words else 1]
            larger = min((price for n, price in curve.items() if n > rows + word), default=inf)
            if max(total / (larger + spent), (total - lost) / (curve.get(rows, inf) + spent)) > now:
                return True  # as a tree with more rows, or in the place of its weakest ones
        return False

    def _ask(self, path: tuple[int, ...], tree: _native.DraftTree, one: float) -> bool:
        """Hears the drafter behind a path; False where it says nothing."""
        reader = self.tier.reader
        before, reads = reader.seconds, reader.reads
        words = self.tier.say(path)
        seconds = reader.seconds - before
        self.seconds += seconds
        which = 1 if self.words else 0
        price = min(seconds / one, STALL * self._prices[which])
        self._prices[which] += PRICE_RATE * (price - self._prices[which])
        self.spent += price
        self.words += reader.reads - reads
        chances = _along(tree, path)
        for word in words:
            chance = word.chance
            if word.kind != Said.inside and len(word.path) < len(path):  # another spelling of what stands in the path
                chance *= chances[len(path)] / max(chances[len(word.path)], 1e-6)
            self._native.foretell(np.array(word.path, np.int32), word.token, min(chance, 1.0), word.kind)
        return bool(words)


def _sum(tree: _native.DraftTree) -> float:
    return float(tree.probability[1:].sum())


def _own(tree: _native.DraftTree) -> float:
    """The chances of the tokens that nobody but the drafter knows."""
    return float(tree.probability[tree.tier == Tier.drafter].sum())


def _value(tree: _native.DraftTree, curve: dict[int, float], spent: float) -> float:
    """Tokens per forward over one row that a tree promises."""
    return (1 + _sum(tree)) / (curve.get(len(tree), float(len(tree))) + spent)


def _along(tree: _native.DraftTree, path: Sequence[int]) -> list[float]:
    """The chances of the nodes along a path, the root first."""
    return [1.0, *(float(tree.probability[node]) for node in tree.follow(path)[1:])]
