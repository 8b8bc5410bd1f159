"""CostCurve: what a forward of the target costs, by rows and context length, relative to a single-token forward.

The weights are read once per forward, by kernels that take rows in groups (the curve is a saw on CPUs and a
staircase on GPUs, so it is measured, never assumed), and each row attends to each token of the context L:
T(n, L) / T(1, L) = (base[n] + n * slope * L) / (1 + slope * L).

Other programs slow all sizes alike. So a forward over several rows is only compared with the single-token forwards
right before and after it, and counts only where these two agree; each size is the median of its latest samples.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hd_edge.tiers.memory import CostRow

SIZES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 63)
ORDER = (4, 2, 8, 16, 3, 12, 6, 5)  # of the first samples: the answer may be short
WIDE = 16  # larger sizes are sampled only where this one costs less than WIDE_COST single rows
WIDE_COST = 2.0
KEPT = 15  # samples per size
SETTLED = KEPT // 2  # what is stored counts as so many samples at most; sizes with more have SLACK
SLACK = 1.25  # how far they may lie beyond what the other sizes allow
NEAR = 5  # single-token forwards whose median is the reference
AGREE = 1.3  # references before and after a sample may differ so much
SPARED = 8  # steps before the first probe: a very short answer should not pay for it
PROBE_STEPS = (4, 8, 16, 2048)  # between probes while a size has no sample, one, two, more
FIRST = 1  # samples by probes of sizes beyond PROBED: more of their wrong drafts cost more than they tell
PROBED = 8
STORED_STEPS = 256  # until a probe asks whether what a store tells is still true, where no draft has told
STRIKES = 3  # samples far below it, one after the other, until its costs are believed as one sample each
MOST_PENDING = 64  # forwards over several rows since the last one over one row
CHECKED = 16  # samples between two looks at the slope
STIFFNESS = 1e6  # of the slope, in (rows x tokens)^2: so much spread of the samples counts as much as what it was
CONTEXT_UNIT = 1024  # tokens of context: where the slope is read from stored records
BACK = 2  # single-token forwards behind one over many that cost more: llama.cpp builds its graph anew in the first, and
# a GPU that replays recorded graphs records the next one (ggml-cuda: the second graph in a row with the same shape)
DEAREST_BACK = 4.0  # forwards; what one of these is believed to cost more at most,
UNSURE_BACK = 0.5  # and while there are fewer than SETTLED samples
SPACED = 12  # times the square of what the way back costs: how many times as far apart probes are where it is dear,
FARTHEST = 32  # at most: what is dear by mistake must be found out


class CostCurve:
    """Costs of a forward over n rows.

    Args:
        rows: What a store kept of an earlier run: (rows, context in units of 1,024 tokens, seconds, samples).
        fixed: The curve never changes; for tests and replays.

    Attributes:
        slope: What each row costs more per token of context.
        samples: How many forwards over several rows have counted so far.
    """

    def __init__(self, rows: Iterable[CostRow] = (), *, fixed: bool = False) -> None:
        self.slope = 0.0
        self.samples = 0
        self._fixed = fixed
        self._samples: dict[int, deque[tuple[int, float]]] = {}  # by rows: context, cost
        self._base: dict[int, float] = {}  # by rows: cost without any context
        self._ones: deque[float] = deque(maxlen=KEPT)  # seconds of single-token forwards, without any context
        self._near: deque[float] = deque(maxlen=NEAR)  # seconds of the last single-token forwards
        self._pending: list[tuple[int, int, float]] = []  # rows, context, seconds since the last of them
        self._behind: list[float] | None = None  # seconds of single-token forwards behind one over many; None: BACK ago
        self._more: tuple[deque[float], ...] = tuple(deque(maxlen=KEPT) for _ in range(BACK))  # what these cost more
        self._back = [0.0] * BACK  # what is believed of it
        self._fitted = 0  # samples when the slope was last looked at
        self._stored: dict[int, float] = {}  # what a store told, by rows, until a sample has confirmed any of it
        self._strikes = 0  # samples far below it
        stored = {(size, length): (seconds, samples) for size, length, seconds, samples in rows if seconds > 0}
        one = 1.0 if fixed else stored.get((1, 0), (0.0, 0))[0]
        for (size, length), (seconds, samples) in stored.items():
            if length == 0 and size in SIZES and one > 0:
                for _ in range(min(max(samples, 1), SETTLED)):  # what is measured now outweighs what was stored
                    self._keep(size, 0, seconds / one)
        if one > 0:
            self._ones.append(one)
            self.slope = max(0.0, stored.get((1, 1), (one, 0))[0] / one - 1) / CONTEXT_UNIT
        self._stored = {n: kept[0][1] for n, kept in self._samples.items() if n > 1 and len(kept) >= STRIKES}

    @classmethod
    def of(cls, relative: dict[int, float]) -> CostCurve:
        """A fixed curve from costs by rows, for tests and replays."""
        return cls([(rows, 0, cost, 1) for rows, cost in relative.items()], fixed=True)

    def doubted(self) -> CostCurve:
        """What another number of threads begins with: these costs up to PROBED rows, each believed as one sample."""
        kept = [(rows, length, seconds, 1) for rows, length, seconds, _ in self.rows() if rows <= PROBED or self._fixed]
        curve = CostCurve(kept, fixed=self._fixed)
        curve._back = list(self._back)
        return curve

    @property
    def known(self) -> bool:
        """Whether there is anything to plan with: one row and at least one larger size."""
        return len(self._base) > 1 and len(self._ones) > 0

    @property
    def change(self) -> float:
        """What the way back from many rows to one costs, in single-token forwards."""
        return sum(self._back)

    @property
    def waiting(self) -> bool:
        """Whether the next single-token forward says what the last one over many has cost."""
        return bool(self._pending) or self._behind is not None

    def seconds(self, rows: int, context: int) -> float:
        """Expected seconds of a forward on an undisturbed machine; 0.0 where nothing is known."""
        if rows not in self._base or not self._ones:
            return 0.0
        return _middle(self._ones) * (self._base[rows] + rows * self.slope * context)

    def cost(self, rows: int, context: int) -> float:
        """Forwards over one row that one over ``rows`` costs; 0.0 where nothing is known."""
        if rows not in self._base:
            return 0.0
        return (self._base[rows] + rows * self.slope * context) / (1 + self.slope * context)

    def relative(self, context: int, *, drafted: bool = False) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The sizes on offer and their costs, with the change to them and back to one row.

        Behind a forward over many (``drafted``) the way back is owed already, and costs nothing more.
        Nothing is believed that cannot be: many rows cost no less than one, and no more than two parts of them.
        So sizes up to WIDE are on offer also where there was no time to measure them.
        """
        sizes = {n: self.cost(n, context) for n in sorted(self._base)}
        if not self._fixed:
            offered: dict[int, float] = {1: 1.0}
            for n in [n for n in SIZES[1:] if n in sizes or PROBED < n <= WIDE] if self.known else ():
                parts = combinations_with_replacement(offered, 2)
                limit = min((offered[m] + offered[k] for m, k in parts if m + k >= n), default=n)
                slack = SLACK if len(self._samples.get(n, ())) > SETTLED else 1.0
                offered[n] = min(max(sizes.get(n, limit), 1.0), slack * limit)
            sizes = {n: cost + (self.change if n > 1 and not drafted else 0.0) for n, cost in offered.items()}
        least = min(sizes.values(), default=1.0) if 1 not in sizes else 1.0  # a fixed curve may offer one size alone
        rows = list(sizes) or [1]
        return np.array(rows, np.int32), np.array([sizes.get(n, 1.0) / least for n in rows], np.float32)

    def observe(self, rows: int, context: int, seconds: float) -> float:
        """A forward was made. Returns what it cost relative to a single-token forward, 0.0 if nothing is known."""
        if seconds <= 0 or self._fixed:
            return max(seconds, 0.0)
        before = _middle(self._near) if self._near else 0.0
        if rows == 1:
            self._observe_one(context, seconds, before)
        else:
            if rows in SIZES and before > 0:
                self._pending.append((rows, context, seconds / before))
            self._behind = []
        if self.samples - self._fitted >= CHECKED:
            self._fit_slope()
        expected = self.cost(rows, context)
        return min(seconds / before, 2 * expected) if before > 0 else expected  # a stall is not the draft's

    def probe(self, step: int, most: int = SIZES[-1]) -> int:
        """The size whose cost this step should sample, at most ``most`` rows; 0 for none.

        A size that one bad sample made look dear would never be chosen, and so never be measured again; and long
        drafted stretches never see the one row that all sizes are compared with.
        """
        if self._fixed or (step < SPARED and not self.known):
            return 0
        if not self._near or len(self._pending) >= MOST_PENDING:
            return 1
        if step % PROBE_STEPS[0] != 0:
            return 0
        waiting = Counter(rows for rows, _, _ in self._pending)  # a run of drafts may settle none of them for long
        apart = min(1 + int(SPACED * self.change**2), FARTHEST)
        told = next((n for n in ORDER if n in self._stored and n <= min(most, PROBED)), 0)
        if told and not waiting and step % (apart * (PROBE_STEPS[0] if self._strikes else STORED_STEPS)) == 0:
            return told
        wide = [n for n in SIZES if n > WIDE] if 0 < self.cost(WIDE, 0) < WIDE_COST else []
        counts = {n: len(self._samples.get(n, ())) + waiting[n] for n in (*ORDER, *wide)}
        open_sizes = [n for n in counts if n <= most and (n <= PROBED or counts[n] < FIRST)]
        if not open_sizes:
            return 0
        rows = min(open_sizes, key=counts.__getitem__)
        every = PROBE_STEPS[min(counts[rows], len(PROBE_STEPS) - 1)] * apart
        return rows if step % every == 0 and counts[rows] < KEPT else 0

    def table(self, context: int) -> list[str]:
        """Lines to read: milliseconds, the cost relative to a single-token forward, and which sizes can be chosen."""
        rows, costs = self.relative(context)
        lines = []
        for n, cost in zip(rows.tolist(), costs.tolist(), strict=True):
            cheaper = [int(m) for m, other in zip(rows, costs, strict=True) if m > n and other <= cost]
            note = f"  never chosen: {cheaper[-1]} rows cost no more" if cheaper else ""
            seconds = self.seconds(n, context)
            told = f"{1000 * seconds:8.2f} ms" if seconds > 0 else " unmeasured"
            lines.append(f"{n:2d} rows {told} {cost:6.2f}{note}")
        return lines if self.known else [*lines, "more rows are not measured yet: other programs came between"]

    def rows(self) -> list[CostRow]:
        """What a store should keep: (rows, context in units of 1,024 tokens, seconds, samples)."""
        counts = {1: len(self._ones), **{n: len(samples) for n, samples in self._samples.items()}}
        kept = [(rows, 0, self.seconds(rows, 0), counts[rows]) for rows in sorted(self._base)]
        return [*kept, (1, 1, self.seconds(1, CONTEXT_UNIT), 1)] if self.known else kept

    def _observe_one(self, context: int, seconds: float, before: float) -> None:
        """A single-token forward: what those over many are compared with, on both sides of them."""
        behind = self._behind
        back = behind is not None and len(behind) < BACK
        settled = seconds / (1 + self._back[len(behind)]) if behind is not None and back else seconds
        self._near.append(settled)
        agrees = bool(self._pending) and 1 / AGREE < settled / before < AGREE
        for size, length, cost in self._pending if agrees else ():
            self._keep(size, length, cost / (0.5 * (1 + settled / before)))
        if agrees or not back:  # what the way back costs may not be known yet
            self._pending.clear()
        if behind is not None and back:
            behind.append(seconds)
            return
        if behind is not None:
            for first, more in zip(behind, self._more, strict=False):
                more.append(first / seconds - 1)
            self._back = [_back(more) for more in self._more]
            self._behind = None
        self._ones.append(seconds / (1 + self.slope * context))
        self._base.setdefault(1, 1.0)

    def _keep(self, rows: int, context: int, cost: float) -> None:
        samples = self._samples.setdefault(rows, deque(maxlen=KEPT))
        samples.append((context, cost))
        self.samples += 1
        if rows in self._stored:
            self._check_stored(_without(cost, rows, self.slope * context) / self._stored[rows])
        self._settle(rows)

    def _check_stored(self, share: float) -> None:
        """Does what a store told come true? It may be of an hour in which the machine was hot, or in use.

        Too cheap a size is chosen, and so sampled, until that is put right; too dear a one never.

        Args:
            share: What a forward cost, of what the store told of its size.
        """
        self._strikes = self._strikes + 1 if share < 1 / AGREE else 0
        if 0 < self._strikes < STRIKES:
            return
        for size, told in self._stored.items() if self._strikes else ():
            seen = [sample for sample in self._samples[size] if sample != (0, told)]
            self._samples[size] = deque([(0, told), *seen], maxlen=KEPT)
            self._settle(size)
        self._stored.clear()

    def _settle(self, rows: int) -> None:
        """The cost without context, from the samples and the slope as they are now."""
        samples = self._samples[rows]
        self._base[rows] = max(_middle([_without(cost, rows, self.slope * length) for length, cost in samples]), 0.1)

    def _fit_slope(self) -> None:
        """Least squares over all samples: cost = base[n] + slope * (n - cost) * L, each size with a base of its own."""
        self._fitted = self.samples
        over, under = STIFFNESS * self.slope, STIFFNESS
        for rows, samples in self._samples.items():
            model = [self.cost(rows, length) for length, _ in samples]
            sound = [s for s, cost in zip(samples, model, strict=True) if 1 / AGREE < s[1] / cost < AGREE]
            spread = [(rows - cost) * length for length, cost in sound]
            if rows > 1 and sound:
                middle, mean = sum(spread) / len(sound), sum(cost for _, cost in sound) / len(sound)
                over += sum((x - middle) * (s[1] - mean) for x, s in zip(spread, sound, strict=True))
                under += sum((x - middle) ** 2 for x in spread)
        self.slope = min(max(over / under, 0.0), 1 / 256)
        for rows in self._samples:
            self._settle(rows)


def _without(cost: float, rows: int, attention: float) -> float:
    """The cost that would be without context, where attention adds ``attention`` per row to a forward of 1."""
    return cost * (1 + attention) - rows * attention


def _back(samples: Iterable[float]) -> float:
    """What a forward on the way back costs more: the lower quartile, as other programs only add to it."""
    ordered = sorted(samples)
    most = DEAREST_BACK if len(ordered) >= SETTLED else UNSURE_BACK
    return min(max(ordered[(len(ordered) - 1) // 4], 0.0), most) if ordered else 0.0


def _middle(values: Iterable[float]) -> float:
    """The median; of an even number of values the mean of the middle two."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])
