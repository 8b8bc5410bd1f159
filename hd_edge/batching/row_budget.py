"""RowBudget: how many rows each conversation's draft gets of the next forward.

All drafts share a forward, so they share its cost: rows go where expected tokens per cost are highest over all
conversations (TETRIS, arXiv 2502.15197). One conversation alone gets long drafts, a full house hardly any, by the same
arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SLOPE = 0.11  # of a forward over one row: what a row more costs, until it was measured
FORGET = 0.97  # of what is known at each forward
STIFFNESS = 8.0  # rows^2: so much spread of the sizes counts as much as SLOPE
STALLED = 4.0  # a forward that takes so many times what it should was interrupted
RATE = 0.2  # of what is learned about prompts at each piece


class RowBudget:
    """What forwards over n rows cost: a line through the last ones, fitted anew after each.

    Attributes:
        token_seconds: Seconds of a prompt's token; 0.0 until some were computed.
    """

    def __init__(self) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0
        self.token_seconds = 0.0

    def seconds(self, rows: int) -> float:
        """Expected seconds of a forward over so many rows; 0.0 where nothing is known."""
        level, slope = self._line()
        return max(level + slope * rows, 0.0)

    def relative(self, rows: int) -> float:
        """What a forward over so many rows costs, in forwards over one."""
        level, slope = self._line() if self._weight else (1 - SLOPE, SLOPE)
        return (level + slope * rows) / (level + slope)

    def observe(self, rows: int, seconds: float, prompt: int = 0) -> None:
        """A forward over so many rows of drafts and so many tokens of prompts was made."""
        known = self.seconds(rows)
        if prompt:
            own = max(seconds - known, 0.0) / prompt
            self.token_seconds += (RATE if self.token_seconds else 1.0) * (own - self.token_seconds)
            return
        if known > 0:
            seconds = min(seconds, STALLED * known)
        self._weight = FORGET * self._weight + 1
        self._x, self._y = FORGET * self._x + rows, FORGET * self._y + seconds
        self._xx, self._xy = FORGET * self._xx + rows * rows, FORGET * self._xy + rows * seconds

    def _line(self) -> tuple[float, float]:
        """Seconds without any row, and of each row; least squares, drawn to SLOPE while sizes hardly differ."""
        if not self._weight:
            return 0.0, 0.0
        x, y = self._x / self._weight, self._y / self._weight
        expected = SLOPE * y / (1 + SLOPE * (x - 1))
        spread, joint = self._xx - self._weight * x * x, self._xy - self._weight * x * y
        slope = max((joint + STIFFNESS * expected) / (spread + STIFFNESS), 0.0)
        slope = min(slope, y / x)
        return y - slope * x, slope

    def price(self, rows: int) -> float:
        """What one row more costs, in shares that ``rows`` conversations have of a forward over one row each."""
        level, slope = self._line()
        share = (level + slope * rows) / max(rows, 1)
        return slope / share if share > 0 else SLOPE

    def choose(self, chances: Sequence[NDArray[np.float32]], extra: float = 0.0) -> list[int]:
        """Rows of each conversation's draft, its root not counted.

        Args:
            chances: Of the nodes of each conversation's draft tree to come true, the likeliest first.
            extra: Seconds that the forward takes for prompts besides.
        """
        count = len(chances)
        everything = np.concatenate([np.empty(0, np.float32), *chances])
        if not len(everything):
            return [0] * count
        owner = np.repeat(np.arange(count), [len(own) for own in chances])
        order = np.argsort(-everything, kind="stable")
        level, slope = self._line() if self._weight else (1 - SLOPE, SLOPE)
        rows = count + np.arange(len(everything) + 1)
        tokens = count + np.concatenate([[0.0], np.cumsum(everything[order], dtype=np.float64)])
        best = int(np.argmax(tokens / (level + slope * rows + extra)))
        return [int(n) for n in np.bincount(owner[order[:best]], minlength=count)]
