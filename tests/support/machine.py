"""A machine of simulated time: what forwards take on it while other programs disturb them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SAW = {1: 1.0, 2: 1.68, 3: 2.14, 4: 2.44, 5: 3.2, 6: 3.7, 8: 3.5, 12: 4.6, 16: 4.74}
H200 = {
    1: 1.0,
    2: 1.26,
    3: 1.44,
    4: 1.52,
    5: 1.66,
    6: 1.78,
    8: 2.09,
    12: 2.58,
    16: 2.62,
    24: 2.95,
    32: 3.11,
    48: 3.75,
    63: 4.11,
}
SLOPE = 6e-4  # what a row costs more per token of context
CHANGE = 0.1  # what a forward costs more after one of another size


class Machine:
    """Times forwards of ``one`` seconds per row with a clock of its own.

    Args:
        noise: Seconds that a forward takes, from the machine and the seconds it needs.
        one: Seconds of one row without context.
        seed: Of the noise.
        change: What a forward costs more after one of another size.
        record: What the second in a row of one size costs more.
        base: What forwards cost without context or change, by rows.
    """

    def __init__(
        self,
        noise: Callable[[Machine, float], float],
        one: float = 0.005,
        seed: int = 1,
        *,
        change: float = CHANGE,
        record: float = 0.0,
        base: dict[int, float] = SAW,
    ) -> None:
        self.now = 0.0
        self.context = 100
        self.rng = np.random.default_rng(seed)
        self._noise = noise
        self._one = one
        self._change, self._record, self._base = change, record, base
        self._last, self._row = 1, 2  # rows of the last forward, and how many in a row had so many

    def clock(self) -> float:
        """Seconds since the start."""
        return self.now

    def cost(self, rows: int) -> float:
        """In forwards over one row, without any change of size."""
        attention = SLOPE * self.context
        return (self._base.get(rows, rows / 3) + rows * attention) / (1 + attention)

    def run(self, rows: int) -> float:
        """One forward; returns its seconds."""
        self._row = self._row + 1 if rows == self._last else 0
        self._last = rows
        more = self._change if self._row == 0 else self._record if self._row == 1 else 0.0
        seconds = self._noise(self, self._one * (self.cost(rows) + more) * (1 + SLOPE * self.context))
        self.now += seconds
        return seconds


def recording_gpu(seed: int = 1) -> Machine:
    """A 7B Q4_0 on an H200: each change of size builds llama.cpp's graph anew, the next forward records it."""
    return Machine(quiet, 0.003, seed, change=0.35, record=1.1, base=H200)


def quiet(machine: Machine, seconds: float) -> float:
    """Three percent of noise."""
    return seconds * float(machine.rng.normal(1, 0.03))


def stalls(machine: Machine, seconds: float) -> float:
    """One forward in twenty waits for 0.3 seconds."""
    return quiet(machine, seconds) + (0.3 if machine.rng.random() < 0.05 else 0.0)


def shared(machine: Machine, seconds: float) -> float:
    """Another program runs every other 0.7 seconds and slows all forwards down six times."""
    return quiet(machine, seconds) * (6 if int(machine.now / 0.7) % 2 else 1)


def bimodal(machine: Machine, seconds: float) -> float:
    """Two forwards of five take twelve times as long."""
    return quiet(machine, seconds) * (12 if machine.rng.random() < 0.4 else 1)


def heavy(machine: Machine, seconds: float) -> float:
    """Everything takes thirty times as long."""
    return quiet(machine, seconds) * 30


def waking(machine: Machine, seconds: float) -> float:
    """Everything takes twenty times as long in the first half second."""
    return quiet(machine, seconds) * (20 if machine.now < 0.5 else 1)
