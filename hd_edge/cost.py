"""CostCurve: what one forward of the target costs, by rows and length of the context.

The curve is a saw on CPUs (kernels take rows in groups) and flat on GPUs, so it is measured, never assumed.
A machine that other programs slow down slows all sizes alike: every sample is divided by the slowness of the
last steps before it counts, and each size is the median of its latest samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

SIZES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 63)
WIDE = 16  # larger sizes are measured only where this one costs less than WIDE_COST single rows
WIDE_COST = 3.0
BUDGET = 2.0  # seconds of measuring, once per model and settings
ROUNDS = 3
KEPT = 15  # samples per size and bucket
PROBED = 8  # larger sizes are not probed: a wrong draft of them costs too much
PROBE_STEPS = (64, 512)  # between probes while a size has less than ROUNDS samples, and afterwards
RECENT = 8  # steps whose slowness counts; even, so that two sizes in turns meet in the middle

CostRow = tuple[int, int, float, int]  # rows, context bucket, seconds, samples


def bucket_of(context: int) -> int:
    """0 below 512 tokens of context, then one more for each doubling."""
    return (context >> 9).bit_length()


class CostCurve:
    """Seconds of a forward over n rows, as medians.

    Args:
        rows: What a store kept of an earlier run: (rows, context bucket, seconds, samples).
        fixed: The curve never changes; for tests and replays.
    """

    def __init__(self, rows: Iterable[CostRow] = (), *, fixed: bool = False) -> None:
        self._samples: dict[int, dict[int, deque[float]]] = {}
        self._medians: dict[int, dict[int, float]] = {}
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._slowness = 1.0
        self._fixed = fixed
        for size, bucket, seconds, samples in rows:
            if size in SIZES and bucket >= 0 and seconds > 0:
                weight = min(max(samples, 1), KEPT // 2)  # what is measured now outweighs what was stored
                for _ in range(weight):
                    self._keep(size, bucket, seconds)

    @classmethod
    def of(cls, relative: dict[int, float]) -> CostCurve:
        """A fixed curve from costs by rows, for tests and replays."""
        return cls([(rows, 0, cost, 1) for rows, cost in relative.items()], fixed=True)

    @property
    def known(self) -> bool:
        """Whether there is anything to plan with: one row and at least one larger size."""
        return any(1 in sizes and len(sizes) > 1 for sizes in self._medians.values())

    @property
    def slowness(self) -> float:
        """How much slower than the curve the machine is at the moment (1.0: as measured)."""
        return self._slowness

    def seconds(self, rows: int, context: int) -> float:
        """Expected seconds of a forward on an undisturbed machine; 0.0 where nothing is known."""
        return self._medians.get(self._bucket(context), {}).get(rows, 0.0)

    def relative(self, context: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The sizes on offer and what they cost in forwards over one row."""
        sizes = self._medians.get(self._bucket(context), {})
        one = min(sizes.values()) if self._fixed and sizes else sizes.get(1)  # a fixed curve may offer one size alone
        if one is None:
            return np.array([1], np.int32), np.array([1.0], np.float32)
        rows = sorted(sizes)
        return np.array(rows, np.int32), np.array([sizes[n] / one for n in rows], np.float32)

    def observe(self, rows: int, context: int, seconds: float) -> float:
        """A forward was made. Returns its seconds as they would have been on an undisturbed machine."""
        if seconds <= 0:
            return 0.0
        undisturbed = seconds / self._slowness  # of the steps before: a sample must not explain itself away
        expected = self._medians.get(self._bucket(context), {}).get(rows)
        if expected:
            self._recent.append(seconds / expected)
            self._slowness = median(self._recent)
        if not self._fixed and rows in SIZES:
            self._enter(bucket_of(context))
            self._keep(rows, bucket_of(context), undisturbed)
        return undisturbed

    def measure(
        self,
        run: Callable[[int], None],
        context: int,
        max_rows: int,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Times ``run(n)``, a forward over n rows that leaves no trace, for the sizes that fit in BUDGET."""
        end = clock() + BUDGET
        bucket = bucket_of(context)
        run(1)  # the first forward of a size may build its graph
        for _ in range(ROUNDS):
            per_row = 0.0  # of the size before: no size costs more per row than a smaller one
            for rows in SIZES:
                if rows > max_rows or (rows > WIDE and self._steep(bucket)):
                    break
                if clock() + rows * per_row > end:
                    return
                started = clock()
                run(rows)
                seconds = clock() - started
                per_row = seconds / rows
                self._keep(rows, bucket, seconds)

    def probe(self, context: int, step: int) -> int:
        """The size whose cost this step should sample, 0 for none.

        A size that one bad sample made look dear would never be chosen, and so never be measured again. That goes for
        one row too: it cannot cost more than several, so a curve that says so was measured wrongly.
        """
        samples = self._samples.get(self._bucket(context), {})
        if self._fixed or 1 not in samples:
            return 0
        medians = self._medians[self._bucket(context)]
        if medians[1] > min(medians.values()):
            return 1 if step % PROBE_STEPS[0] == 0 else 0
        counts = {rows: len(samples.get(rows, ())) for rows in SIZES if 1 < rows <= PROBED}
        rows = min(counts, key=lambda size: (counts[size], size))
        every = PROBE_STEPS[0] if counts[rows] < ROUNDS else PROBE_STEPS[1]
        return rows if step % every == 0 and counts[rows] < KEPT else 0

    def table(self, context: int) -> list[str]:
        """Lines to read: milliseconds, the cost in forwards over one row, and which sizes can be chosen."""
        rows, costs = self.relative(context)
        lines = []
        for n, cost in zip(rows.tolist(), costs.tolist(), strict=True):
            cheaper = [int(m) for m, other in zip(rows, costs, strict=True) if m > n and other <= cost]
            note = f"  never chosen: {cheaper[-1]} rows cost no more" if cheaper else ""
            lines.append(f"{n:2d} rows {1000 * self.seconds(n, context):8.2f} ms {cost:6.2f}{note}")
        return lines

    def rows(self) -> list[CostRow]:
        """What a store should keep: (rows, context bucket, seconds, samples)."""
        return [
            (rows, bucket, self._medians[bucket][rows], len(samples))
            for bucket, sizes in sorted(self._samples.items())
            for rows, samples in sorted(sizes.items())
        ]

    def _steep(self, bucket: int) -> bool:
        sizes = self._medians[bucket]
        return WIDE not in sizes or sizes[WIDE] > WIDE_COST * sizes[1]

    def _bucket(self, context: int) -> int:
        """The bucket of this context length, or the nearest one with samples."""
        wanted = bucket_of(context)
        if wanted in self._medians or not self._medians:
            return wanted
        return min(self._medians, key=lambda bucket: (abs(bucket - wanted), bucket))

    def _enter(self, bucket: int) -> None:
        """A new bucket starts with what the nearest one knows."""
        if bucket in self._medians or not self._medians:
            return
        nearest = min(self._medians, key=lambda other: (abs(other - bucket), other))
        for rows, seconds in self._medians[nearest].items():
            self._keep(rows, bucket, seconds)

    def _keep(self, rows: int, bucket: int, seconds: float) -> None:
        samples = self._samples.setdefault(bucket, {}).setdefault(rows, deque(maxlen=KEPT))
        samples.append(seconds)
        self._medians.setdefault(bucket, {})[rows] = median(samples)
