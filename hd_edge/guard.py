"""Guard: stops drafting while it loses, and lets it come back."""

from __future__ import annotations

LOSS = 20.0  # forwards over one row that drafting may lose before it pauses
FIRST_PAUSE = 64  # steps
LONGEST_PAUSE = 1024


class Guard:
    """Compares what drafted steps emit with what plain steps would have emitted in the same time.

    A cumulative sum (Page 1954): each drafted step adds its cost in plain forwards and takes away its tokens; the
    sum never falls below zero. Chance alone keeps it small while drafting gains, a steady loss drives it to LOSS.
    Costs are read against the forwards over one row just before (``CostCurve.observe``), so other programs are no loss.
    """

    def __init__(self) -> None:
        self._loss = 0.0
        self._pause = 0  # steps left
        self._next_pause = FIRST_PAUSE

    @property
    def paused(self) -> bool:
        """Whether the next step should not draft."""
        return self._pause > 0

    def step(self, rows: int, emitted: int, cost: float) -> None:
        """After a step: its rows, the tokens it emitted, and its cost in forwards over one row."""
        if self._pause > 0:
            self._pause -= 1
            return
        if rows == 1:
            return
        self._loss = max(0.0, self._loss + cost - emitted)
        if self._loss == 0.0:
            self._next_pause = FIRST_PAUSE
        if self._loss > LOSS:
            self._pause = self._next_pause
            self._next_pause = min(2 * self._next_pause, LONGEST_PAUSE)
            self._loss = LOSS / 2  # when it comes back it has less to lose
