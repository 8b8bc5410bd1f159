"""Guard: stops drafting while it loses, and lets it come back."""

from __future__ import annotations

LOSS = 20.0  # forwards over one row that drafting may lose before it pauses
FIRST_PAUSE = 64  # steps
LONGEST_PAUSE = 1024
LEAST_GAIN = 0.03  # tokens per step; drafting that brings less is hardly worth its own time at every step
MEMORY = 64  # steps over which the gain is averaged
REST = 4  # a planner that gains nothing plans every so many steps


class Guard:
    """Compares what drafted steps emit with what plain steps would have emitted in the same time.

    A cumulative sum (Page 1954): each drafted step adds its cost in plain forwards and takes away its tokens; the
    sum never falls below zero. Chance alone keeps it small while drafting gains, a steady loss drives it to LOSS.
    Costs are read against the forwards over one row just before (``CostCurve.observe``), so other programs are no loss.
    Planning takes time too, 1 to 2 % of a small model's forward: while drafts bring less than that, it rests.
    """

    def __init__(self) -> None:
        self._loss = 0.0
        self._gain = 5 * LEAST_GAIN  # mean over the last steps: tokens beyond those of plain forwards
        self._pause = 0  # steps left
        self._next_pause = FIRST_PAUSE

    @property
    def paused(self) -> bool:
        """Whether the next step should not draft."""
        return self._pause > 0

    def rests(self, step: int) -> bool:
        """Whether this step is not worth planning."""
        return self._gain < LEAST_GAIN and step % REST != 0

    def step(self, rows: int, emitted: int, cost: float) -> None:
        """After a step: its rows, the tokens it emitted, and its cost in forwards over one row."""
        if self._pause > 0:
            self._pause -= 1
            return
        gain = emitted - cost if rows > 1 else 0.0
        self._gain += (gain - self._gain) / MEMORY
        if rows == 1:
            return
        self._loss = max(0.0, self._loss - gain)
        if self._loss == 0.0:
            self._next_pause = FIRST_PAUSE
        if self._loss > LOSS:
            self._pause = self._next_pause
            self._next_pause = min(2 * self._next_pause, LONGEST_PAUSE)
            self._loss = LOSS / 2  # when it comes back it has less to lose
