"""TreePlanner: what a draft is worth and what a row costs.

Each step: grow the tree whose expected tokens per cost are highest (one row included: no draft), and after the
target has spoken teach the mixer, the tiers, the cost curve and the guard. All per-node work is native
(``_native.Drafter``).
"""

from __future__ import annotations

import contextlib
from importlib.resources import files
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from hd_edge import _native
from hd_edge.errors import DecodeError
from hd_edge.tiers import ModelTier

from .cost import CostCurve
from .guard import Guard
from .lookup import Lookups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hd_edge.config import DraftConfig
    from hd_edge.tiers.tier import StoredTier

RECYCLED = 0.003  # share of the forwards that reading their rows may take
SETTLED = 8  # steps of a generation before it measures costs: a very short one should not pay for it


def default_calibration() -> bytes:
    """The mixer's state that ships with the package (scripts/replay/train_calibration.py)."""
    return files("hd_edge").joinpath("data", "calibration.bin").read_bytes()


class TreePlanner:
    """Plans drafts for one target; keeps what it has learned from one generation to the next.

    Args:
        n_vocab: Size of the target's vocabulary.
        config: Tiers in use, most rows.
        calibration: State of the mixer as the store kept it; None: the one that ships with the package.
        cost: The target's cost curve; None: unknown, to be measured.
        tiers: The SQLite tiers in use.
    """

    def __init__(
        self,
        n_vocab: int,
        config: DraftConfig,
        *,
        calibration: bytes | None = None,
        cost: CostCurve | None = None,
        tiers: Sequence[StoredTier] = (),
    ) -> None:
        self._drafter = _native.Drafter(n_vocab, max_rows=config.max_rows)
        self._drafter.use_context("context" in config.tiers)
        self._drafter.load_calibration(default_calibration() if calibration is None else calibration)
        if calibration is None:
            self._drafter.restart_rates()  # a new target: adapt at full rate
        self._tiers = tiers
        self.lookups = Lookups(self._drafter, tiers)
        self.cost = CostCurve() if cost is None else cost
        self.guard = Guard()
        self.measure_seconds = 0.0  # what measuring the cost curve took
        self._verifier: _native.Verifier | None = None
        self._priced: tuple[int, bool, int, int] | None = None  # when the drafter was told the curve
        self._recycling = 0.0  # seconds that reading rows may take
        self._last = 0  # token of the conversation
        self._unread: list[int] = []  # tokens of steps that were not planned
        self._rests = False  # this step was not planned
        self._probes = False  # its size was chosen to learn what it costs
        self._planning = 0.0  # seconds that planning this step took
        self._steps = 0
        self._begun = 0  # the step that this generation began with

    @property
    def context(self) -> int:
        """Tokens of the conversation so far."""
        return len(self._drafter) + len(self._unread)

    @property
    def expected_tokens(self) -> float:
        """Tokens that the last tree was expected to bring, bonus token included."""
        return self._drafter.expected_tokens

    def attach(self, verifier: _native.Verifier) -> None:
        """Lets the planner measure the cost curve on this verifier, between two steps."""
        self._verifier = verifier

    def begin(self, tokens: NDArray[np.int32]) -> None:
        """The conversation is now ``tokens``; what is known of the common prefix stays."""
        self._begun = self._steps
        self._last = int(tokens[-1]) if len(tokens) else 0
        self._unread.clear()
        self._drafter.begin(tokens)

    def reference(self, tokens: NDArray[np.int32]) -> None:
        """Text the answer is expected to repeat; part of the context tier until the next ``begin()``."""
        self._drafter.set_reference(tokens)

    def prepare(self, max_rows: int) -> None:
        """Measures the cost curve when it is due: once, no part of drafting."""
        settled = self._steps - self._begun >= SETTLED
        if settled and self._verifier is not None and self.cost.due:
            self._measure(self._verifier, max_rows)

    def plan(self, max_rows: int, max_leaves: int) -> _native.DraftTree:
        """The draft tree worth most per cost; the root alone where no draft is worth its rows."""
        self._rests = self.guard.rests(self._steps)
        if self._rests:
            root = _native.DraftTree()
            root.add(self._last, -1)
            return root
        started = perf_counter()
        if self._unread:
            self._drafter.append(np.array(self._unread, np.int32))
            self._unread.clear()
        context = len(self._drafter)
        priced = (id(self.cost), self.cost.known, context >> 8, self.cost.samples >> 2)
        if priced != self._priced:
            self._drafter.set_cost(*self.cost.relative(context))
            self._priced = priced
        size = self.cost.probe(self._steps)
        self._probes = 1 < size <= max_rows
        if self._probes:
            self._drafter.set_cost(np.array([size], np.int32), np.ones(1, np.float32))
            self._priced = None
        rows = 1 if self.guard.paused or size == 1 else max_rows
        tree = self._drafter.grow(rows, max_leaves)
        if self.lookups.fetch():
            tree = self._drafter.grow(rows, max_leaves)
        self._planning = perf_counter() - started
        return tree

    def learn(
        self,
        verifier: _native.Verifier | None,
        tree: _native.DraftTree,
        path: Sequence[int],
        emitted: Sequence[int],
        seconds: float,
    ) -> None:
        """After a step, drafted or not.

        Args:
            verifier: Holds the rows of ``tree``; None: there are none to recycle.
            tree: What was verified.
            path: Accepted nodes, root first.
            emitted: Tokens the target drew at them; fewer than ``path`` if the generation was closed early.
            seconds: Wall time of the forward.
        """
        self._steps += 1
        self._last = emitted[-1] if emitted else self._last
        if self._rests:
            if self.cost.waiting:
                self.cost.observe(len(tree), self.context, seconds)
            self._unread += emitted
            self.guard.skip()
            return
        started = perf_counter()
        context = len(self._drafter)
        tokens = np.array(emitted, np.int32)
        nodes = np.array(path, np.int32)
        self.lookups.allow(seconds)
        self._drafter.learn(nodes, tokens)
        if verifier is not None:
            self._recycle(verifier, nodes, seconds)
        self._drafter.append(tokens)
        cost = self.cost.observe(len(tree), context, seconds)
        planning = (self._planning + perf_counter() - started) * cost / seconds if seconds > 0 else 0.0
        if self._probes:
            self.guard.skip()  # its size was not chosen for gain
        else:
            self.guard.step(len(tree), len(emitted), cost + self.cost.change, planning)

    def finish(self, tokens: NDArray[np.int32], prompt_len: int) -> None:
        """A generation ended, also early: ``tokens`` is all of it, of which ``prompt_len`` were given."""
        for tier in self._tiers:
            if isinstance(tier, ModelTier):
                tier.learn(tokens, prompt_len)

    def calibration(self) -> bytes:
        """State of the mixer, for the store."""
        return self._drafter.save_calibration()

    # -- parts of a step -------------------------------------------------------------------------------------------

    def _recycle(self, verifier: _native.Verifier, path: NDArray[np.int32], seconds: float) -> None:
        """Keeps the target's likeliest tokens of as many rows as RECYCLED of the forwards' time allows."""
        self._recycling = min(self._recycling + RECYCLED * seconds, 4 * RECYCLED * seconds)
        if self._recycling <= 0:  # rows before took longer
            return
        started = perf_counter()
        self._drafter.recycle(verifier, path, self._recycling)
        self._recycling -= perf_counter() - started

    def _measure(self, verifier: _native.Verifier, max_rows: int) -> None:
        started = perf_counter()
        context = len(self._drafter)
        root = self._drafter.grow(1, 1).token

        def run(rows: int) -> None:
            tree = _native.DraftTree()
            for node in range(rows):
                tree.add(int(root[0]), node - 1)
            try:
                if (code := verifier.decode(root, tree)) != 0:
                    msg = f"llama_decode returned {code} for {rows} rows, 0 is expected"
                    raise DecodeError(msg)
            finally:
                verifier.rollback()

        with contextlib.suppress(DecodeError):  # cancelled, or no room: its time says nothing, a later step measures
            self.cost.measure(run, context, max_rows)
        self.measure_seconds += perf_counter() - started
