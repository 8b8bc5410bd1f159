"""ReplayPlanner: drafts that are long, wide and often wrong, for proving that drafts do not change text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hd_edge.draft.planner import Planner, root_alone

if TYPE_CHECKING:
    from hd_edge import _native
    from hd_edge.draft.planner import Step, TokenArray

SIZES = (2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 16, 24, 63)  # rows of a replayed tree, one drawn per step
RIGHT = 0.85  # chance that a replayed node continues the known answer
CLIMB = 0.25  # chance to leave the branch for one of its ancestors


class ReplayPlanner:
    """Every other step drafts as the model's own planner does, the others from a noisy replay of a known answer.

    A replayed tree takes random turns: each node continues the answer with chance ``RIGHT`` and is a random token
    otherwise, and branches may start at any node, so the accepted path is often long and often not the first branch.

    Args:
        inner: The planner of the model; it goes on learning in every step.
        n_vocab: Random tokens come from below it.
        seed: Of the random numbers.
    """

    def __init__(self, inner: Planner, n_vocab: int, seed: int = 0) -> None:
        self.inner = inner
        self._n_vocab = n_vocab
        self._random = random.Random(seed)
        self._answer: list[int] = []
        self._drawn = 0  # tokens of the answer so far, the root included
        self._replays = False

    def expect(self, answer: Sequence[int]) -> None:
        """The next generation is expected to give `answer`."""
        self._answer = list(answer)

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:
        """The first token of the answer has just been drawn."""
        self._drawn = 1
        self.inner.begin(tokens, prediction)

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        """The inner planner's tree and a replayed one, in turns."""
        self._replays = not self._replays
        tree = self.inner.plan(root, rows, leaves)
        return self._replay(root, min(rows, self._random.choice(SIZES)), leaves) if self._replays else tree

    def _replay(self, root: int, rows: int, most_leaves: int) -> _native.DraftTree:
        tree = root_alone(root)
        branch = [0]
        leaves = 1
        for _ in range(rows - 1):
            while len(branch) > 1 and self._random.random() < CLIMB:
                branch.pop()
            position = self._drawn + len(branch) - 1
            token = self._random.randrange(self._n_vocab)
            if position < len(self._answer) and self._random.random() < RIGHT:
                token = self._answer[position]
            branches = branch[-1] != len(tree) - 1
            if tree.child(branch[-1], token) >= 0 or (branches and leaves == most_leaves):
                continue
            leaves += branches
            branch.append(tree.add(token, branch[-1], 1, 0.5))
        return tree

    def learn(self, step: Step) -> None:
        """Lets the inner planner learn."""
        self._drawn += len(step.tokens)
        self.inner.learn(step)
