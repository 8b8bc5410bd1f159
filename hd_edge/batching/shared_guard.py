"""SharedGuard: whether drafting pays for all conversations together, asked once for each forward.

In company a row costs most of a conversation's share of the forward, so drafts gain little, and what each planner takes
all others wait for. Gains, rows and planning are therefore counted in one sum, and while it says no, no planner works:
but for a forward now and then, which tells whether that has changed.
"""

from __future__ import annotations

from hd_edge.draft.guard import DEAREST

TRUST = 0.05  # shares of a forward that drafting is believed to bring each conversation before it has shown anything
LEAST = -0.05  # what it is believed to lose at most: good news is heard within a few trials
MEMORY = 128  # planned steps of conversations over which the gain is averaged
FASTEST = 0.25  # of that memory is lost at one forward, at most
REST = 4  # while nothing is gained, every so many forwards are planned
LONGEST_REST = 32
TRIALS = 4  # planned forwards before it rests twice as long


class SharedGuard:
    """Averages what drafting brings, in shares that conversations have of a forward without drafts.

    Attributes:
        gain: Of a planned step of one conversation: tokens beyond the first, less what their rows and planning cost.
        rests: Whether the forward that is composed now is not worth planning.
    """

    def __init__(self) -> None:
        self.gain = TRUST
        self.rests = False
        self._trials = 0  # forwards planned since it rests
        self._pause = 0  # forwards left
        self._sum, self._steps = 0.0, 0  # of this forward

    def begin(self) -> None:
        """A forward is about to be composed."""
        self._sum, self._steps = 0.0, 0
        self.rests = self._pause > 0

    def step(self, tokens: int, cost: float, planning: float) -> None:
        """A conversation's part of it was planned: its output tokens, and what they cost in shares."""
        self._sum += tokens - cost - min(planning, DEAREST)
        self._steps += 1

    def end(self) -> None:
        """The forward's parts have told what came of them."""
        if self.rests:
            self._pause -= 1
        if not self._steps:
            return
        rate = min(self._steps / MEMORY, FASTEST)
        self.gain = max(self.gain + rate * (self._sum / self._steps - self.gain), LEAST)
        if self.gain > 0:
            self._trials = self._pause = 0
        else:
            self._pause = min(REST << self._trials // TRIALS, LONGEST_REST) - 1
            self._trials = min(self._trials + 1, TRIALS * LONGEST_REST)
