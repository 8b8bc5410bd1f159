"""Reliability: do drafts come true as often as the planner says?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hd_edge import _native

DECILES = 10


class Reliability:
    """Predicted against actual acceptance of drafted nodes, by decile of the predicted chance.

    A node's chance is that of its whole path from the root; it came true if the target took the whole path.
    """

    def __init__(self) -> None:
        self._nodes = np.zeros(DECILES, np.int64)
        self._predicted = np.zeros(DECILES)
        self._accepted = np.zeros(DECILES, np.int64)

    def count(self, tree: _native.DraftTree, path: Sequence[int], deepest: int = 1 << 30) -> None:
        """A step.

        Args:
            tree: What was drafted.
            path: The accepted nodes, root first.
            deepest: Nodes below this depth do not count: the text ended, nobody knows.
        """
        counted = np.flatnonzero(tree.depth <= deepest)[1:]
        if len(counted) == 0:
            return
        chance = tree.probability[counted]
        accepted = np.zeros(len(tree), np.int64)
        accepted[list(path)] = 1
        decile = np.minimum((chance * DECILES).astype(np.int64), DECILES - 1)
        self._nodes += np.bincount(decile, minlength=DECILES)
        self._predicted += np.bincount(decile, weights=chance, minlength=DECILES)
        self._accepted += np.bincount(decile, weights=accepted[counted], minlength=DECILES).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Per decile: nodes, mean predicted chance, share that was accepted.

        ``largest_gap`` is the largest difference of the two in a decile that holds at least 1 % of the nodes.
        """
        nodes = np.maximum(self._nodes, 1)
        predicted, actual = self._predicted / nodes, self._accepted / nodes
        counts = self._nodes >= 0.01 * max(int(self._nodes.sum()), 1)
        gaps = np.abs(predicted - actual)[counts & (self._nodes > 0)]
        return {
            "nodes": self._nodes.tolist(),
            "predicted": [round(float(p), 4) for p in predicted],
            "actual": [round(float(a), 4) for a in actual],
            "largest_gap": round(float(gaps.max()), 4) if len(gaps) else 0.0,
        }
