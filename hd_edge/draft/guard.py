"""Guard: stops drafting while it loses, and lets it come back."""

from __future__ import annotations

LOSS = 10.0  # single-token forwards that drafting may lose before it pauses, twice as many once it has earned them
EARNED = 0.1  # share of what drafting has gained that it may lose beyond LOSS
FIRST_PAUSE = 64  # steps
LONGEST_PAUSE = 1024
TRUST = 0.15  # tokens per planned step that drafting is believed to bring before it has shown anything
DEAREST = 0.1  # forwards; planning that seems to take longer was interrupted by another program
MEMORY = 64  # planned steps over which gain and planning are averaged
REST = 4  # a planner that gains nothing plans every so many steps
LONGEST_REST = 16
TRIALS = 16  # planned steps before it rests twice as long


class Guard:
    """Compares the output tokens of drafted steps with those of plain steps in the same time.

    A cumulative sum (Page 1954): each drafted step adds its cost in plain forwards and takes away its tokens; the
    sum never falls below zero. Chance alone keeps it small while drafting gains, a steady loss drives it to LOSS.
    Costs are read against the single-token forwards just before (``CostCurve.observe``), so other programs are no loss.
    Planning takes time too, some percent of a small model's forward: while drafts bring less than that, it rests, the
    longer the more steps brought nothing.
    """

    def __init__(self) -> None:
        self._loss = 0.0
        self._net = 0.0  # forwards gained, all in all
        self._gain = TRUST  # tokens beyond those of plain forwards, mean over the last planned steps
        self._planning = 0.0  # what planning took of a forward, the same mean
        self._trials = 0  # planned steps since it rests
        self._pause = 0  # steps left
        self._next_pause = FIRST_PAUSE

    @property
    def paused(self) -> bool:
        """Whether the next step should not draft."""
        return self._pause > 0

    def rests(self, step: int) -> bool:
        """Whether this step is not worth planning."""
        return self._gain < self._planning and step % min(REST << self._trials // TRIALS, LONGEST_REST) != 0

    def skip(self) -> None:
        """After a step that was not planned."""
        self._pause = max(self._pause - 1, 0)

    def step(self, rows: int, tokens: int, cost: float, planning: float = 0.0) -> None:
        """After a planned step: rows and output tokens, cost and planning relative to a single-token forward."""
        if self._pause > 0:
            self.skip()
            return
        gain = tokens - cost if rows > 1 else 0.0
        self._gain = max(self._gain + (gain - self._gain) / MEMORY, 0.0)
        self._planning += (min(planning, DEAREST) - self._planning) / MEMORY
        self._trials = self._trials + 1 if self._gain < self._planning else 0
        if rows == 1:
            return
        self._net += gain
        self._loss = max(0.0, self._loss - gain)
        if self._loss == 0.0:
            self._next_pause = FIRST_PAUSE
        most = LOSS + min(max(EARNED * self._net, 0.0), LOSS)
        if self._loss > most:
            self._pause = self._next_pause
            self._next_pause = min(2 * self._next_pause, LONGEST_PAUSE)
            self._loss = most / 2  # when it comes back it has less to lose
