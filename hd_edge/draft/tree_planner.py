"""TreePlanner: what a draft is worth and what a row costs.

Each step: grow the tree whose expected tokens per cost are highest (one row included: no draft), and after the
target has answered teach the mixer, the tiers, the cost curve and the guard. All per-node work is native
(``_native.Drafter``).
"""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from hd_edge import _native

from .asking import Asking
from .cost import CostCurve
from .guard import Guard
from .lookup import Lookups
from .planner import root_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hd_edge.config import DraftConfig
    from hd_edge.draft.drafter.tier import DrafterTier
    from hd_edge.tiers.memory import CostRow
    from hd_edge.tiers.tier import StoredTier

    from .planner import Step, TokenArray

Prices = tuple["NDArray[np.int32]", "NDArray[np.float32]"]  # sizes, and what each costs in single-token forwards

CHANGES = 64  # steps of a forward's cost in which the cost of a change of shape is told apart
MEMORY = 32  # drafts over which what they cost afterwards is averaged
RECYCLED = 0.003  # share of the forwards that reading their rows may take


def default_calibration() -> bytes:
    """The mixer's state that ships with the package (scripts/replay/train_calibration.py)."""
    return files(__package__).joinpath("calibration.bin").read_bytes()


def one_size(rows: int) -> Prices:
    """A curve that offers one size alone."""
    return np.array([rows], np.int32), np.ones(1, np.float32)


class TreePlanner:
    """Plans drafts for one target; keeps what it has learned from one generation to the next.

    Args:
        n_vocab: Size of the target's vocabulary.
        config: Tiers in use, most rows.
        calibration: State of the mixer as the store kept it; None: the one that ships with the package.
        cost: The target's cost curve; None: unknown, to be measured.
        tiers: The SQLite tiers in use.
        drafter: A small model that is asked where these are not sure; None: nobody.

    Attributes:
        recycles: Whether the target's own rows become candidates; not where the tokens it gives are not its own.
    """

    def __init__(
        self,
        n_vocab: int,
        config: DraftConfig,
        *,
        calibration: bytes | None = None,
        cost: CostCurve | None = None,
        tiers: Sequence[StoredTier] = (),
        drafter: DrafterTier | None = None,
    ) -> None:
        self._drafter = _native.Drafter(n_vocab)
        self._drafter.use_context("context" in config.tiers)
        self._drafter.load_calibration(default_calibration() if calibration is None else calibration)
        if calibration is None:
            self._drafter.restart_rates()  # a new target: adapt at full rate
        self.lookups = Lookups(tiers)
        self._names = [tier.name for tier in tiers]
        for tier in tiers:
            self._drafter.attach(_native.Tier[tier.name], tier.cache)
        self.cost = CostCurve() if cost is None else cost
        self.guard = Guard()
        self.asking = None if drafter is None else Asking(drafter, self._drafter)
        self._priced: tuple[int, bool, int, int, int] | None = None  # when the curve was last read
        self._prices: dict[bool, Prices] = {}  # as they were then, by whether the step before was drafted
        self._told: Prices | None = None  # what the drafter reckons with
        self.recycles = True
        self._recycling = 0.0  # seconds that reading rows may take
        self._rests = False  # this step was not planned
        self._unread: list[int] = []  # output tokens since one was
        self._probed = 0  # rows of this step, if it should tell what so many cost
        self._steps = 0
        self._redo = 0.0  # what feeding accepted tokens again costs per draft, in single-token forwards
        self._drafted = False  # the step before

    @property
    def context(self) -> int:
        """Tokens of the conversation so far."""
        return len(self._drafter) + len(self._unread)

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:
        """The conversation is now ``tokens``; what is known of the common prefix stays."""
        self._unread.clear()
        self._drafter.begin(tokens)
        if len(prediction):
            self._drafter.set_prediction(prediction)
        if self.asking is not None:
            self.asking.begin(tokens.tolist())

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:
        """The draft tree worth most per cost; the root alone where no draft is worth its rows."""
        if self.asking is not None:
            self.asking.forget()
        self._rests = self.guard.rests(self._steps)
        if self._rests:
            return root_alone(root)
        self._read()
        size = self.cost.probe(self._steps, rows)
        self._probed = size if 1 < size <= rows else 0
        prices = one_size(size) if self._probed else self._current_prices()
        if prices is not self._told:
            self._drafter.set_cost(*prices)
            self._told = prices
        if self.guard.paused or size == 1:
            rows = 1
        tree = self._grow(rows, leaves)
        if self.asking is None or rows == 1 or self._probed:
            return tree
        return self.asking.extend(tree, partial(self._drafter.grow, rows, leaves), self.cost, self.context)

    def _read(self) -> None:
        """Gives the drafter what was said while planning rested."""
        if self._unread:
            self._drafter.append(np.array(self._unread, np.int32))
            self._unread.clear()

    def _current_prices(self) -> Prices:
        """Sizes and what they cost here, read from the curve once in a while."""
        curve = self.cost
        priced = (id(curve), curve.known, self.context >> 8, curve.samples >> 2, int(CHANGES * curve.change))
        if priced != self._priced:
            self._prices.clear()
            self._priced = priced
        if (prices := self._prices.get(self._drafted)) is None:
            sizes, costs = self.cost.relative(self.context, drafted=self._drafted)
            prices = sizes, costs + np.where(sizes > 1, np.float32(self._redo), np.float32(0))
            self._prices[self._drafted] = prices
        return prices

    def _grow(self, rows: int, leaves: int) -> _native.DraftTree:
        """The drafter's tree, with the records that it missed."""
        tree = self._drafter.grow(rows, leaves)
        missing = {name: self._drafter.missing(_native.Tier[name]) for name in self._names}
        return self._drafter.grow(rows, leaves) if self.lookups.fetch(missing) else tree

    def learn(self, step: Step) -> None:
        """Teaches the mixer, the context tier, the cost curve and the guard."""
        self._steps += 1
        if self._rests:
            self._rested(step)
        else:
            self._learn(step)
        if self.asking is not None:
            self.asking.append(step.tokens)

    def _rested(self, step: Step) -> None:
        """After a step that was not planned: what is done here is all that a planner at rest costs."""
        if self.cost.waiting:
            self.cost.observe(step.again + len(step.tree), self.context, step.seconds)
        self.guard.skip()
        self._drafted = False
        self._unread += step.tokens

    def _learn(self, step: Step) -> None:
        rows, tokens = step.again + len(step.tree), np.array(step.tokens, np.int32)
        self.lookups.allow(step.seconds)
        self._drafter.learn(step.tree, tokens)
        self._recycle(step)
        cost = self.cost.observe(rows, self.context, step.seconds)
        owed = 0.0 if self._drafted else self.cost.change  # a run of drafts goes back to one row once
        if self._drafted:
            self._redo += (max(cost - 1, 0.0) * (step.again > 0) - self._redo) / MEMORY
        self._drafted = len(step.tree) > 1
        own = step.planning - (self.asking.seconds if self.asking is not None else 0.0)
        planning = max(own, 0.0) * cost / step.seconds if step.seconds > 0 else 0.0
        if rows == self._probed:
            self.guard.skip()  # its size was not chosen for gain
        else:
            cost += owed
            spent = 0.0
            if self.asking is not None:
                spent = self.asking.spent
                self.asking.learn(len(step.tree), step.tokens)
            self.guard.step(max(rows, 2) if spent else rows, len(tokens), cost + spent, planning)
        self._drafter.append(tokens)

    def calibration(self) -> bytes:
        """State of the mixer, for the store."""
        return self._drafter.save_calibration()

    def cost_rows(self) -> list[CostRow]:
        """The cost curve, for the store."""
        return self.cost.rows()

    def _recycle(self, step: Step) -> None:
        """Keeps the target's likeliest tokens of as many rows as RECYCLED of the forwards' time allows."""
        self._recycling = min(self._recycling + RECYCLED * step.seconds, 4 * RECYCLED * step.seconds)
        if step.rows is None or not self.recycles or self._recycling <= 0:  # rows before took longer
            return
        started = perf_counter()
        self._drafter.recycle(step.rows, step.tree, list(step.path), self._recycling)
        self._recycling -= perf_counter() - started
