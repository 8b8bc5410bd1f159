"""ReplayPlanner: drafts that are long, wide and often wrong, for proving that drafts do not change text."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hd_edge import _native

from .planner import DelegatingPlanner, Planner, TokenArray

SIZES = (2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 16, 24, 63)  # rows of a replayed tree, one drawn per step
RIGHT = 0.85  # chance that a replayed node continues the known answer
CLIMB = 0.25  # chance to leave the branch for one of its ancestors


class ReplayPlanner(DelegatingPlanner):
    """Every other step drafts as the model's own planner does, the others from a noisy replay of a known answer.

    A replayed tree takes random turns: each node continues the answer with chance ``RIGHT`` and is a random token
    otherwise, and branches may start at any node, so the accepted path is often long and often not the first branch.

    Args:
        inner: The planner of the model; it goes on learning in every step.
        n_vocab: Random tokens come from below it.
        seed: Of the random numbers.
    """

    def __init__(self, inner: Planner, n_vocab: int, seed: int = 0) -> None:
        super().__init__(inner)
        self._n_vocab = n_vocab
        self._random = random.Random(seed)
        self._answer: list[int] = []
        self._start = 0  # length of the conversation at which the answer began
        self._tokens: list[int] = []
        self._replays = False

    def follow(self, answer: Sequence[int]) -> None:
        """The next generation is expected to say `answer`."""
        self._answer, self._start = list(answer), -1

    def begin(self, tokens: TokenArray) -> None:
        """The first token of the answer has just been drawn."""
        self._tokens = [int(token) for token in tokens]
        self._start = len(self._tokens) - 1
        self.inner.begin(tokens)

    def plan(self, max_rows: int, max_leaves: int) -> _native.DraftTree:
        """The inner planner's tree and a replayed one, in turns."""
        self._replays = not self._replays
        if not self._replays:
            return self.inner.plan(max_rows, max_leaves)
        self.inner.plan(1, 1)  # it learns from the root alone in this step
        return self._replay(min(max_rows, self._random.choice(SIZES)), max_leaves)

    def _replay(self, rows: int, max_leaves: int) -> _native.DraftTree:
        tree = _native.DraftTree()
        branch = [tree.add(self._tokens[-1], -1)]
        said = len(self._tokens) - self._start
        leaves = 1
        for _ in range(rows - 1):
            while len(branch) > 1 and self._random.random() < CLIMB:
                branch.pop()
            position = said + len(branch) - 1
            token = self._random.randrange(self._n_vocab)
            if position < len(self._answer) and self._random.random() < RIGHT:
                token = self._answer[position]
            branches = branch[-1] != len(tree) - 1
            if tree.child(branch[-1], token) >= 0 or (branches and leaves == max_leaves):
                continue
            leaves += branches
            branch.append(tree.add(token, branch[-1], 1, 0.5))
        return tree

    def learn(
        self,
        verifier: _native.Verifier,
        tree: _native.DraftTree,
        path: Sequence[int],
        emitted: Sequence[int],
        seconds: float,
    ) -> None:
        """Lets the inner planner learn."""
        self._tokens += emitted
        self.inner.learn(verifier, tree, path, emitted, seconds)
