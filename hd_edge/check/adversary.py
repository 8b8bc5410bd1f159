"""Adversary: drafts that are long, wide and often wrong, for proving that drafts do not change text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hd_edge import _native
from hd_edge.draft.planner import root_alone

if TYPE_CHECKING:
    from hd_edge.draft.planner import Step, TokenArray

CLIMB = 0.3  # chance to leave the branch for one of its ancestors
SPECIAL = 0.3  # chance that a wrong node is a special token


class Adversary:
    """Random trees whose nodes continue a script with chance ``right``, and are random tokens otherwise.

    Branches may start at any node, so the accepted path is often long and often not the first branch.

    Args:
        script: What the target will give, prompt included; may be empty.
        n_vocab: Random tokens come from below it.
        right: Share of nodes that follow the script.
        seed: Of the random numbers.
        special: Tokens that wrong nodes are taken from often, such as end-of-text.
        sizes: Rows of a tree, one drawn per step; empty: any that the limits allow.
    """

    def __init__(
        self,
        script: Sequence[int],
        n_vocab: int,
        right: float = 0.7,
        seed: int = 0,
        *,
        special: Sequence[int] = (),
        sizes: Sequence[int] = (),
    ) -> None:
        self.script, self.n_vocab, self.right = list(script), n_vocab, right
        self.special, self.sizes = list(special), list(sizes)
        self.random = random.Random(seed)
        self.length = 0  # of the conversation

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:  # noqa: ARG002
        """The script goes on behind these tokens."""
        self.length = len(tokens)

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        """A tree of random size and shape."""
        tree = root_alone(root)
        branch = [0]
        size = min(rows, self.random.choice(self.sizes)) if self.sizes else 1 + self.random.randrange(rows)
        for _ in range(size - 1):
            while len(branch) > 1 and self.random.random() < CLIMB:
                branch.pop()
            token = self._token(self.length + len(branch) - 1)
            branches = branch[-1] != len(tree) - 1
            if tree.child(branch[-1], token) < 0 and not (branches and tree.leaves == leaves):
                branch.append(tree.add(token, branch[-1], _native.Tier(self.random.randint(1, 3)), 0.5))
        return tree

    def _token(self, position: int) -> int:
        if position < len(self.script) and self.random.random() < self.right:
            return self.script[position]
        if self.special and self.random.random() < SPECIAL:
            return self.random.choice(self.special)
        return self.random.randrange(self.n_vocab)

    def learn(self, step: Step) -> None:
        """The conversation has grown."""
        self.length += len(step.tokens)
