"""Team: how many threads compute a forward while other programs take cores away.

llama.cpp's threads wait for each other some 200 times per forward. Where another program takes the core of one, all
wait for it, and a smaller team is faster. The forwards themselves tell: now and then a few are made with another number
of threads and compared with those just before. A trial ends at its first forward if that is clearly dearer, and what it
cost decides when the next one comes, so on an idle machine and on a busy one trials take a fixed share of the time.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from llama_cpp import llama_cpp as lib

TRIAL = 3  # forwards of a trial that is not decided before
SURE = 0.6  # so cheap, in forwards of the team that it is compared with, and one forward is enough
CHEAPER = 0.9  # the median of a whole trial must be under this
LONG = 1.0  # seconds of a prompt's forward: operations so long that waiting for each other counts little
PROMPT_ROW = 1 / 6  # of a forward over one row, what a row of a prompt takes
LIKELY = 0.75  # or under this where few forwards are known to compare it with
DEARER = 1.25  # and a trial ends where it is above this
SLOWER = 1.3  # the last forwards over those before: something has happened
STALLED = 2.0  # two forwards over those before: do not wait for more
RECENT = 5  # forwards whose median a trial is compared with
SETTLED = 2  # forwards before the first trial
HISTORY = 32
LEAST_WAIT, MOST_WAIT = 16, 256  # forwards between trials of one size
VETOES = 8  # in a row: what the system counts may be another machine's threads (a container's host)
FAR_WAIT = 64  # before the first trial of a far smaller size, and four times as long for the next
SHARE = {False: 0.005, True: 0.03}  # of the time, for trials of one smaller size, and of one larger
SPLIT_CELLS = 256  # from 512 cells on, in steps of 256, llama.cpp splits one row's attention by threads


def threads_change_bits(params: Any, *, own_attention: bool) -> bool:
    """Whether the number of threads changes the last bits of logits, in contexts above SPLIT_CELLS.

    llama.cpp cuts the attention of one row into a part per thread where K and V have one type, F16 or F32. Everything
    else on the CPU gives each thread whole results.

    Args:
        params: The ``llama_context_params``.
        own_attention: Attention is computed by kernels of ours.
    """
    split = params.type_k == params.type_v and params.type_k in (lib.GGML_TYPE_F32, lib.GGML_TYPE_F16)
    return split and not own_attention and params.flash_attn_type != lib.LLAMA_FLASH_ATTN_TYPE_DISABLED


@dataclass
class Trial:
    """Forwards with another number of threads: their prices in forwards of the team that is in use."""

    size: int
    prices: list[float] = field(default_factory=list)


@dataclass
class Wait:
    """When a size is tried next, and how many forwards after the last trial that is."""

    until: int
    forwards: int = LEAST_WAIT
    vetoes: int = 0


class Team:
    """Chooses the number of threads of each forward.

    Args:
        most: Threads on an idle machine; it is never more.
        apply: Sets the number of threads of the next forward.
        most_cells: In longer contexts it stays at ``most``, because answers would depend on it; None: no limit.
        running: How many threads of the machine run or want to, these included; None where it does not say.

    Attributes:
        size: Threads of the next forward.
        home: Threads of all forwards that are no trial.
    """

    def __init__(
        self,
        most: int,
        apply: Callable[[int], None],
        *,
        most_cells: int | None = None,
        running: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.most = self.size = self.home = most
        self._apply = apply
        self._most_cells = most_cells
        self._running = running
        self._step = 0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._history: deque[float] = deque(maxlen=HISTORY)
        self._trial: Trial | None = None
        self._left: tuple[int, float] | None = None  # the team before the last change, and its price then
        self._waits: dict[tuple[int, int], Wait] = {}  # by the size in use and the size to try

    def gather(self) -> None:
        """All threads, whatever goes on."""
        self._trial = None
        self._set(self.most)

    def prompt(self, rows: int, cells: int) -> None:
        """A prompt comes, in forwards of so many rows, after which the KV cache holds so many cells."""
        self.gather()
        work = rows * PROMPT_ROW * min(self._recent, default=0.0)
        if work < LONG and (self._most_cells is None or cells <= self._most_cells):
            self._set(self.home)

    def before(self, cells: int) -> None:
        """A forward comes that attends to so many cells of the KV cache."""
        if self.most == 1:
            return
        if self._most_cells is not None and cells > self._most_cells:
            self.gather()
            return
        if self._trial is None and len(self._recent) >= SETTLED:
            due = [size for size in (*self._smaller(), *self._larger()) if self._wait(size).until <= self._step]
            due = [size for size in due if not self._vetoed(size)]
            if due:
                self._trial = Trial(min(due, key=lambda size: self._wait(size).until))
        self._set(self._trial.size if self._trial else self.home)

    def after(self, seconds: float) -> None:
        """What the forward took, per forward over one row; 0.0 where that is not known."""
        if seconds <= 0 or self.most == 1 or self.size != (self._trial.size if self._trial else self.home):
            return
        self._step += 1
        if self._trial is not None:
            self._judge(self._trial, seconds)
            return
        self._recent.append(seconds)
        self._history.append(seconds)
        before, last = list(self._history)[:-TRIAL], list(self._history)[-TRIAL:]
        if self._left is not None and len(last) == TRIAL:
            self._look_back(*self._left, last)
        elif len(before) >= 2 * TRIAL:
            normal = median(before)
            if min(last[1:]) > STALLED * normal or median(last) > SLOWER * normal:
                self._something_happened(seconds)

    def _something_happened(self, seconds: float) -> None:
        """Forwards became slower at once: older ones are no measure, and every smaller size is worth a trial now."""
        self._recent.clear()
        self._recent.append(seconds)
        self._history.clear()
        for size in self._smaller():
            self._waits[self.home, size] = Wait(self._step, vetoes=VETOES)

    def _smaller(self) -> list[int]:
        """The size below this one, and far smaller ones, so that many threads leave in few steps."""
        home = self.home
        return sorted({home - 1, home // 2, home // 4, 1} - {0, home}, reverse=True)

    def _larger(self) -> list[int]:
        return sorted({self.home + 1, min(2 * self.home, self.most)} - {self.home, self.most + 1})

    def _vetoed(self, size: int) -> bool:
        """Whether the system says that this trial would be in vain: no core is free for more threads, or none is taken.

        Only the forwards tell for certain; so it puts trials off, and not for ever.
        """
        wait, running = self._wait(size), self._running()
        if running is None or wait.vetoes >= VETOES:
            wait.vetoes = 0
            return False
        taken = max(running - self.home, 0) + max(size, self.home) > self.most
        if taken != (size > self.home):
            wait.vetoes = 0
            return False
        wait.vetoes += 1
        wait.until = self._step + wait.vetoes * wait.forwards
        return True

    def _wait(self, size: int) -> Wait:
        near = self.home // 2 <= size < self.home
        first = 0 if near else LEAST_WAIT if size > self.home else FAR_WAIT * (4 if size == 1 else 1)
        return self._waits.setdefault((self.home, size), Wait(self._step + first, vetoes=0 if first else VETOES))

    def _judge(self, trial: Trial, seconds: float) -> None:
        enough = len(self._recent) == RECENT
        reference = median(self._recent) if enough else min(self._recent)  # of few, one may be a stall
        trial.prices.append(seconds / reference)
        price = median(trial.prices)
        decided = len(trial.prices) >= TRIAL
        limit = SURE if not decided else CHEAPER if enough else LIKELY
        if price < limit:
            self._trial = None
            for pair in [pair for pair in self._waits if pair[0] == trial.size]:
                del self._waits[pair]
            self._move(trial.size, reference, price)
            self._recent.extend(reference * p for p in trial.prices)
        elif price > DEARER or decided:
            self._trial = None
            self._lost(trial.size, trial.prices)

    def _look_back(self, size: int, price: float, last: list[float]) -> None:
        """Right after a change: was the trial no more than luck?"""
        if median(last) > price / CHEAPER:
            home, now = self.home, median(last)
            self._move(size, now, price / now)
            self._left = None
            self._lost(home, [seconds / price for seconds in last])
        elif len(self._history) >= 3 * TRIAL:
            self._left = None

    def _move(self, size: int, left: float, price: float) -> None:
        """Another team, which costs `price` of what the present one does, `left` seconds."""
        old = self.home
        self._left = (old, left)
        self.home = size
        self._recent.clear()
        self._history.clear()
        self._pay(old, 1 / price - 1)

    def _lost(self, size: int, prices: list[float]) -> None:
        wait = self._wait(size)
        wait.forwards = min(2 * wait.forwards, MOST_WAIT)
        self._pay(size, sum(max(price - 1, 0.0) for price in prices))

    def _pay(self, size: int, forwards: float) -> None:
        """The dearer a trial is, the later comes the next."""
        wait = self._wait(size)
        wait.until = self._step + max(wait.forwards, round(forwards / SHARE[size > self.home]))

    def _set(self, size: int) -> None:
        if size != self.size:
            self.size = size
            self._apply(size)


def set_threads(context: Any, gone: Callable[[], bool]) -> Callable[[int], None]:
    """What sets the threads of a ``llama_context``, until it is gone, for forwards of one row and of several."""

    def apply(size: int) -> None:
        if gone():
            return
        lib.llama_set_n_threads(context, ctypes.c_int32(size), ctypes.c_int32(size))

    return apply
