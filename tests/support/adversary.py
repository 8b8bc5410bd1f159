"""A planner that drafts what it is told to: right, wrong, mixed, as deep and as wide as the limits allow."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from hd_edge import _native
from hd_edge.draft.planner import Step, root_alone


class Adversary:
    """Random trees whose nodes continue `script` with chance `right`, and are random tokens otherwise.

    Args:
        script: What the target will say, prompt included; may be empty.
        n_vocab: Random tokens come from below it.
        right: Share of nodes that follow the script.
        seed: Of its random numbers.
        special: Tokens that random nodes are taken from often, such as end-of-text.
    """

    def __init__(
        self, script: Sequence[int], n_vocab: int, right: float = 0.7, seed: int = 0, special: Sequence[int] = ()
    ) -> None:
        self.script, self.n_vocab, self.right, self.special = list(script), n_vocab, right, list(special)
        self.random = random.Random(seed)
        self.length = 0
        self.steps: list[Step] = []

    def begin(self, tokens: np.ndarray, prediction: np.ndarray) -> None:
        self.length = len(tokens)

    def plan(self, root: int, max_rows: int, max_leaves: int) -> _native.DraftTree:
        tree = root_alone(root)
        path = [0]
        leaves = 1
        for _ in range(self.random.randrange(max_rows)):
            while len(path) > 1 and self.random.random() < 0.3:
                path.pop()
            if path[-1] != len(tree) - 1:
                leaves += 1
                if leaves > max_leaves:
                    break
            token = self._token(self.length + len(path) - 1)
            if tree.child(path[-1], token) < 0:
                path.append(tree.add(token, path[-1], self.random.randint(1, 3), 0.5))
            elif path[-1] != len(tree) - 1:
                leaves -= 1
        return tree

    def _token(self, position: int) -> int:
        if position < len(self.script) and self.random.random() < self.right:
            return self.script[position]
        if self.special and self.random.random() < 0.3:
            return self.random.choice(self.special)
        return self.random.randrange(self.n_vocab)

    def learn(self, step: Step) -> None:
        self.steps.append(step)
        self.length += len(step.tokens)
