"""PieceBudget: how long a piece of a prompt may be beside running answers, and what its tokens cost.

On a machine that other programs use, a forward's fixed part grows more than what a token costs: threads wait for each
other at each product, whatever its rows. So both are learned from forwards of all sizes. A dear fixed part makes pieces
longer, never shorter: the answers wait for it anyway. Where forwards became slower at once, the fixed part is taken to
be the cause until pieces of other sizes tell: those that follow are longer, so they do.
"""

from __future__ import annotations

from .line import Line

USUAL = 1 / 6  # of a forward over one row, what a prompt's token takes, until it was measured
FORGET = 0.985  # of what is known at each forward
STIFFNESS = 0.03  # so much spread of the shares that prompts have of a forward counts as much as what was known before
STALLED = 2.5  # a forward that takes so many times what it should was interrupted; two in a row are how things are
LEAST_SHARE = 0.01  # of the mean price, what forwards and tokens cost at least: noise cannot make one of them free
LEAST_DEARER = LEAST_SHARE - 1  # the same for what 1 / USUAL tokens are expected to cost more than a forward
BETTER, WORSE = 0.03, 0.001  # of the difference, how fast the quiet price follows
STALL = 0.05  # seconds that a piece may take beside answers on a quiet machine, or as long as these take
STRETCH = 2.0  # times STALL at most, where other programs make all tokens so much dearer
GROWTH = 2  # times the last piece at most
ROWS = 16  # forwards over multiples of so many rows waste nothing of the kernels' tiles
LEAST_PIECE, FIRST_PIECE = ROWS, 2 * ROWS  # tokens beside running answers; until it is known what they take
RESPITE = 12  # forwards with pieces before one without: it tells what they cost without


class PieceBudget:
    """Splits seconds into forwards and tokens of prompts: a line over the prompt's share of each forward.

    In units of the usual price, a forward that counts ``forwards`` over one row and reads ``prompt`` tokens is
    ``forwards + USUAL * prompt`` long; its seconds over that length are the price of a forward where it reads none, and
    the price of ``1 / USUAL`` tokens where it does nothing else. So each forward counts alike, long or short.

    Attributes:
        token_seconds: Seconds of a prompt's token; 0.0 until a forward was made.
        forward_seconds: Seconds of a forward over one row, without any token of a prompt; the same.
    """

    def __init__(self) -> None:
        self._line = Line(FORGET, STIFFNESS)
        self._dearer = 0.0  # the price of 1 / USUAL tokens over that of a forward, less one
        self._quiet = 0.0  # seconds of a token while nobody else computes
        self._given = FIRST_PIECE  # tokens of the last piece
        self._since = 0  # forwards with pieces since the last without
        self._late = {False: False, True: False}  # whether the last forward was, without and with a piece
        self.token_seconds = self.forward_seconds = 0.0

    def observe(self, forwards: float, prompt: int, seconds: float) -> None:
        """A forward was made.

        Args:
            forwards: What its answers' rows cost, in forwards over one row.
            prompt: Tokens of prompts.
            seconds: It took, more than 0.
        """
        self._since = self._since + 1 if prompt else 0
        length = forwards + USUAL * prompt
        known = forwards * self.forward_seconds + prompt * self.token_seconds
        late = 0 < STALLED * known < seconds
        if late and self._late[prompt > 0]:
            self._line = Line(FORGET, STIFFNESS)
            fixed = max(seconds - self._quiet * prompt, self.forward_seconds * forwards)
            if forwards and self._quiet:
                self._dearer = max(self._quiet * forwards / (USUAL * fixed) - 1, LEAST_DEARER)
            self._late, self._since = {False: True, True: True}, RESPITE
        else:
            self._late[prompt > 0] = late
            seconds = STALLED * known if late else seconds
        share = USUAL * prompt / length
        self._line.add(share, seconds / length)
        x, y = self._line.middle
        slope, room = self._line.slope(self._dearer), (1 - LEAST_SHARE) * y
        slope = min(slope, room / x) if x > 0 else slope
        slope = max(slope, -room / (1 - x)) if x < 1 else slope
        self.forward_seconds, self.token_seconds = y - slope * x, USUAL * (y + slope * (1 - x))
        self._dearer = max(slope / self.forward_seconds, LEAST_DEARER)
        rate = 1.0 if not self._quiet else BETTER if self.token_seconds < self._quiet else WORSE
        if prompt:
            self._quiet += rate * (self.token_seconds - self._quiet)

    def relative(self, forwards: float, prompt: int) -> float:
        """What a forward costs, in forwards over one row."""
        return forwards + self._token * prompt

    @property
    def _token(self) -> float:
        """Forwards over one row that a token of a prompt costs."""
        return min(self.token_seconds / self.forward_seconds, 1.0) if self.forward_seconds else USUAL

    def tokens(self, forwards: float, answering: int) -> int:
        """Tokens of prompts in the next forward, beside so many answers; 0: none now, to see what it costs without.

        Args:
            forwards: What the answers' rows cost, in forwards over one row.
            answering: Their rows.
        """
        if self._since >= RESPITE:
            return 0
        piece = FIRST_PIECE
        if self._quiet:
            stall = STALL / max(self._quiet, self.token_seconds / STRETCH)
            beside = forwards * self.forward_seconds / max(self._quiet, self.token_seconds)
            piece = int(min(max(stall, beside), GROWTH * self._given))
        least = -(-(answering + LEAST_PIECE) // ROWS)
        self._given = max((answering + piece + ROWS // 2) // ROWS, least) * ROWS - answering
        return self._given
