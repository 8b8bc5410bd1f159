"""RowBudget: how many rows each conversation's draft gets of the next forward.

All drafts share a forward, so they share its cost: rows go where expected tokens per cost are highest over all
conversations (TETRIS, arXiv 2502.15197). One conversation alone gets long drafts, a full house hardly any, by the same
arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .line import Line
from .piece_budget import PieceBudget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SLOPE = 0.11  # of a forward over one row: what a row more costs, until it was measured
FORGET = 0.97  # of what is known at each forward
STIFFNESS = 8.0  # rows^2: so much spread of the sizes counts as much as SLOPE
STALLED = 4.0  # a forward that takes so many times what it should was interrupted


class RowBudget:
    """What forwards over n rows cost: a line through the last ones, fitted anew after each.

    Attributes:
        pieces: What a forward over one row and a prompt's token cost now.
    """

    def __init__(self) -> None:
        self._known = Line(FORGET, STIFFNESS)
        self.pieces = PieceBudget()

    def seconds(self, rows: int) -> float:
        """Expected seconds of a forward over so many rows; 0.0 where nothing is known."""
        level, slope = self._line() if self._known else (0.0, 0.0)
        return max(level + slope * rows, 0.0)

    def relative(self, rows: int, prompt: int = 0) -> float:
        """What a forward over so many rows, and so many tokens of prompts, costs, in forwards over one row."""
        level, slope = self._line()
        return self.pieces.relative((level + slope * rows) / (level + slope), prompt)

    def observe(self, rows: int, seconds: float, prompt: int = 0) -> None:
        """A forward over so many rows of drafts and so many tokens of prompts was made."""
        if seconds <= 0:  # a clock that stood
            return
        self.pieces.observe(self.relative(rows), prompt, seconds)
        if prompt:
            return
        known = self.seconds(rows)
        self._known.add(rows, min(seconds, STALLED * known) if known > 0 else seconds)

    def piece(self, answering: int) -> int:
        """Tokens of prompts in the next forward, beside the roots of so many answers; 0: none now."""
        return self.pieces.tokens(self.relative(answering), answering)

    def extra(self, prompt: int) -> float:
        """Seconds that so many tokens of prompts take more, as ``choose`` counts seconds."""
        return self.pieces.relative(0.0, prompt) * sum(self._line())

    def _line(self) -> tuple[float, float]:
        """Seconds without any row, and of each row; drawn to SLOPE while sizes hardly differ; shares if unknown."""
        if not self._known:
            return 1 - SLOPE, SLOPE
        x, y = self._known.middle
        slope = min(max(self._known.slope(SLOPE / (1 - SLOPE)), 0.0), y / x)
        return y - slope * x, slope

    def price(self, rows: int) -> float:
        """What one row more costs, in shares that ``rows`` conversations have of a forward over one row each."""
        level, slope = self._line() if self._known else (0.0, 0.0)
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
        level, slope = self._line()
        rows = count + np.arange(len(everything) + 1)
        tokens = count + np.concatenate([[0.0], np.cumsum(everything[order], dtype=np.float64)])
        best = int(np.argmax(tokens / (level + slope * rows + extra)))
        return [int(n) for n in np.bincount(owner[order[:best]], minlength=count)]
