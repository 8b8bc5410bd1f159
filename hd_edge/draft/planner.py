"""Planner: the interface between decode loop and draft source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hd_edge import _native

TokenArray = NDArray[np.int32]
NO_PREDICTION: TokenArray = np.empty(0, np.int32)


class Step(NamedTuple):
    """One step of decoding: a draft tree was verified in one forward of the target.

    Attributes:
        tree: What was verified; its root is the token before the step's.
        path: Accepted nodes, root first.
        tokens: Output tokens drawn at them, one fewer if the generation ended at the last node.
        seconds: Wall time of the forward and of its commit.
        planning: Seconds of planning this step and of learning from the one before.
        rows: Holds the logits of the tree's nodes while ``learn()`` runs; None: nobody does.
        again: Tokens that the forward fed again before the root: rows that bring nothing.
    """

    tree: _native.DraftTree
    path: Sequence[int]
    tokens: Sequence[int]
    seconds: float
    planning: float = 0.0
    rows: _native.Verifier | _native.SlotRows | None = None
    again: int = 0


class Planner(Protocol):
    """Proposes the draft tree of each step and learns from the step's outcome."""

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:
        """The conversation is now `tokens`, int32; `prediction`, perhaps empty, is what the answer may repeat."""
        ...

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        """The tree to verify behind `root`, the conversation's last token.

        It has at most `rows` nodes, the root included, and at most `leaves` leaves; the root alone means no draft.
        """
        ...

    def learn(self, step: Step) -> None:
        """A step was made, perhaps over another tree than the one planned last."""
        ...


def root_alone(root: int) -> _native.DraftTree:
    """The tree of a step without a draft."""
    return _native.DraftTree(root)


class NoDraft:
    """Plain decoding: every tree is its root."""

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:
        """Needs to know nothing."""

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:  # noqa: ARG002
        """The root alone."""
        return root_alone(root)

    def learn(self, step: Step) -> None:
        """Learns nothing."""
