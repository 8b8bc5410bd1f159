"""Composer: what the next forward is over: drafts of those who answer, and pieces of the prompts that are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hd_edge.draft.planner import root_alone

from .piece_budget import LEAST_PIECE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hd_edge import _native

    from .request import Request
    from .row_budget import RowBudget
    from .slots import Slot

PLANNED = 64  # rows that all drafts together may be planned over
LEAST_PLANNED = 4  # of one conversation


class Part:
    """What one request has of a forward.

    Attributes:
        request: Whose.
        pending: Tokens of its prompt, or its root.
        tree: Behind the last of them.
        draws: Whether tokens are drawn.
    """

    def __init__(self, request: Request, pending: list[int], tree: _native.DraftTree, *, draws: bool = True) -> None:
        self.request, self.pending, self.tree, self.draws = request, pending, tree, draws

    @property
    def rows(self) -> int:
        """Of the batch."""
        return len(self.pending) - 1 + len(self.tree)


class Composer:
    """Composes forwards.

    Args:
        verifier: Says how many rows and leaves there may be.
        window: Tokens of one conversation.
        max_rows: Of one draft, its root included.
    """

    def __init__(self, verifier: _native.SharedVerifier, window: int, max_rows: int) -> None:
        self._verifier, self._window, self._max_rows = verifier, window, max_rows

    def compose(self, requests: Sequence[Request], budget: RowBudget) -> list[Part]:
        """The parts of the next forward; empty where there is nothing to compute.

        Args:
            requests: Those that may have a part; each has room for another token.
            budget: Deals out the rows.
        """
        answering, reading = [one for one in requests if one.made], [one for one in requests if not one.made]
        batch = self._verifier.max_rows - (LEAST_PIECE if reading else 0)
        count = max(len(answering), 1)
        rows = min(max(PLANNED // count, LEAST_PLANNED), self._max_rows, batch // count)
        leaves = self._verifier.max_leaves
        chances, price = [], budget.price(count)
        for one in answering:
            slot = slot_of(one)
            most = min(rows, one.limit - one.made, self._window - len(slot.tokens))
            chances.append(slot.planner.propose(one.tokens[-1], most, leaves, price))
        pieces = self._pieces(reading, len(answering), self._verifier.max_rows - len(answering) * rows, budget)
        extra = budget.extra(sum(map(len, pieces)))
        parts = []
        for one, given in zip(answering, budget.choose(chances, extra), strict=True):
            root = one.tokens[-1]
            parts.append(Part(one, [root], slot_of(one).planner.take(root, given)))
        for one, piece in zip(reading, pieces, strict=False):
            last = len(slot_of(one).tokens) + len(piece) == len(one.prompt)
            parts.append(Part(one, piece, root_alone(piece[-1]), draws=last))
        return parts

    @staticmethod
    def _pieces(reading: Sequence[Request], answering: int, room: int, budget: RowBudget) -> list[list[int]]:
        """The next tokens of the prompts that are read, the earliest first; nobody who answers shall stall."""
        if answering and reading:
            room = min(room, budget.piece(answering))
        pieces = []
        for one in reading:
            if room < 1:
                break
            known = len(slot_of(one).tokens)
            pieces.append(one.prompt[known : known + room])
            room -= len(pieces[-1])
        return pieces


def slot_of(request: Request) -> Slot:
    """The slot of a request that was admitted."""
    if request.slot is None:
        msg = "a request that runs has no slot"
        raise RuntimeError(msg)
    return request.slot
