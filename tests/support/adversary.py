"""A planner that drafts what it is told to: right, wrong, mixed, as deep and as wide as the limits allow."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from hd_edge import _native


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
        self.tokens: list[int] = []
        self.steps: list[tuple[list[int], list[int]]] = []
        self.finished: list[tuple[list[int], int]] = []

    def begin(self, tokens: np.ndarray) -> None:
        self.tokens = [int(t) for t in tokens]

    def prepare(self, max_rows: int) -> None:
        pass

    def plan(self, max_rows: int, max_leaves: int) -> _native.DraftTree:
        tree = _native.DraftTree()
        path = [tree.add(self.tokens[-1], -1)]
        leaves = 1
        for _ in range(self.random.randrange(max_rows)):
            while len(path) > 1 and self.random.random() < 0.3:
                path.pop()
            if path[-1] != len(tree) - 1:
                leaves += 1
                if leaves > max_leaves:
                    break
            token = self._token(len(self.tokens) + len(path) - 1)
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

    def learn(
        self,
        verifier: _native.Verifier,
        tree: _native.DraftTree,
        path: Sequence[int],
        emitted: Sequence[int],
        seconds: float,
    ) -> None:
        self.steps.append((list(path), list(emitted)))
        self.tokens += emitted

    def finish(self, tokens: np.ndarray, prompt_len: int) -> None:
        self.finished.append(([int(t) for t in tokens], prompt_len))

    def reference(self, tokens: np.ndarray) -> None:
        pass
