"""Whether other programs took cores while something was measured: then the numbers are theirs, too."""

from __future__ import annotations

import time

LEAST = 0.75  # of the time of all its threads that a forward gets where nobody else wants the cores


class Disturbance:
    """Compares the time that passes with the processor time of this process.

    Args:
        threads: How many compute.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._begun = time.perf_counter(), time.process_time()

    def told(self) -> str:
        """What other programs did since the beginning; empty where they did not disturb, or a GPU computes."""
        from hd_edge.backend.api import has_gpu

        wall, own = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
        share = own / (self._threads * wall) if wall > 0 else 1.0
        if share >= LEAST or has_gpu():
            return ""
        threads = f"{self._threads} thread{'s' if self._threads > 1 else ''}"
        return f"other programs are at work: {threads} got {share:.0%} of the time; try again when they rest"
