"""ReplayPlanner: the model's own planner and an adversary, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .adversary import Adversary

if TYPE_CHECKING:
    from hd_edge import _native
    from hd_edge.draft.planner import Planner, Step, TokenArray

SIZES = (2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 16, 24, 63)  # rows of an adversary's tree
RIGHT = 0.85  # share of its nodes that follow the known answer


class ReplayPlanner:
    """Every other step drafts as the model's own planner does, the others from a noisy replay of a known answer.

    Args:
        inner: The planner of the model; it goes on learning in every step.
        n_vocab: Size of the vocabulary.
        seed: Of the replay's random numbers.
    """

    def __init__(self, inner: Planner, n_vocab: int, seed: int = 0) -> None:
        self.inner = inner
        self.noisy = Adversary([], n_vocab, RIGHT, seed, sizes=SIZES)
        self._answer: list[int] = []
        self._replays = False

    def expect(self, answer: Sequence[int]) -> None:
        """The next generation is expected to give `answer`."""
        self._answer = list(answer)

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:
        """The first token of the answer has just been drawn."""
        self.noisy.script = [*tokens[:-1].tolist(), *self._answer]
        self.noisy.begin(tokens, prediction)
        self.inner.begin(tokens, prediction)

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        """The inner planner's tree and a replayed one, in turns."""
        self._replays = not self._replays
        tree = self.inner.plan(root, rows, leaves)
        return self.noisy.plan(root, rows, leaves) if self._replays else tree

    def learn(self, step: Step) -> None:
        """Both learn, whoever drafted."""
        self.noisy.learn(step)
        self.inner.learn(step)
