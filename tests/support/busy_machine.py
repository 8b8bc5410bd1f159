"""A machine whose cores other programs take: what a forward takes by its number of threads. No clock, no threads."""

from __future__ import annotations

import random

from hd_edge.backend.team import Team

# Tokens per second of one and of two threads, as measured on two cores (SmolLM2 Q4_0), by load.
TWO_CORES = {
    "idle": {1: 115.0, 2: 157.0},
    "one": {1: 115.0, 2: 52.0},
    "two": {1: 66.0, 2: 37.0},
    "four": {1: 40.0, 2: 12.0},
    "compiler": {1: 80.0, 2: 5.0},
    "gentle": {1: 66.0, 2: 90.0},  # slower, but two threads are still the better team
}


def many_cores(cores: int, busy: int) -> dict[int, float]:
    """Tokens per second of each size of team where `busy` cores are taken: memory alone bounds an idle machine."""
    speeds = {}
    for size in range(1, cores + 1):
        free = 100.0 * size / (0.6 + 0.4 * size)
        speeds[size] = free if size + busy <= cores else 0.3 * free
    return speeds


class BusyMachine:
    """Runs forwards of a team.

    Args:
        speeds: Tokens per second by number of threads.
        noise: Spread of the logarithm of a forward's seconds.
        seed: Of the noise.
    """

    def __init__(self, speeds: dict[int, float], noise: float = 0.08, seed: int = 1) -> None:
        self.speeds = speeds
        self.noise = noise
        self.random = random.Random(seed)

    def seconds(self, size: int) -> float:
        """One forward over one row; one in thirty takes half as long again."""
        stall = 1.5 if self.random.random() < 1 / 30 else 1.0
        return stall * self.random.lognormvariate(0.0, self.noise) / self.speeds[size]

    def run(self, team: Team, forwards: int, cells: int = 0) -> float:
        """Makes forwards. Returns the speed reached over that of the best fixed team, stalls and noise alike."""
        spent = fair = 0.0
        best = max(self.speeds.values())
        for _ in range(forwards):
            team.before(cells)
            seconds = self.seconds(team.size)
            team.after(seconds)
            spent += seconds
            fair += seconds * self.speeds[team.size] / best
        return fair / spent
