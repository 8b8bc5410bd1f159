"""SharedPlanner: proposes drafts for one of many conversations; how much of it is verified, all of them decide."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from hd_edge._native import Tier
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.jump_forward import LEAST_TOKENS, ForcedTokens
from hd_edge.draft.planner import root_alone
from hd_edge.draft.tree_planner import TreePlanner

from .shared_guard import SharedGuard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hd_edge import _native
    from hd_edge.config import DraftConfig
    from hd_edge.draft.planner import Step, TokenArray
    from hd_edge.tiers.memory import CostRow
    from hd_edge.tiers.tier import StoredTier

    from .shared_llama import SharedLlama

NOTHING = np.empty(0, np.float32)
RIGHT, DRAFTED = 9.0, 10.0  # forced tokens, before any was drafted: nine of ten come true


class SharedPlanner(TreePlanner):
    """A tree planner whose drafts are cut to the rows that the conversation is given.

    Args:
        n_vocab: Size of the target's vocabulary.
        config: Tiers in use, most rows.
        calibration: As for ``TreePlanner``.
        tiers: The SQLite tiers, which all conversations share.
        costs: The cost curve of one conversation, which a store goes on to keep.
        company: Of all conversations: whether drafting pays.
    """

    def __init__(
        self,
        n_vocab: int,
        config: DraftConfig,
        *,
        calibration: bytes | None,
        tiers: Sequence[StoredTier],
        costs: Sequence[CostRow] = (),
        company: SharedGuard | None = None,
    ) -> None:
        self._costs = list(costs)
        free = CostCurve.of({1: 1.0})  # what rows cost is not for one conversation to say
        super().__init__(n_vocab, config, calibration=calibration, cost=free, tiers=tiers)
        self.company = SharedGuard() if company is None else company
        self._forced: ForcedTokens | None = None
        self._right, self._tried = RIGHT, DRAFTED
        self._chain: list[int] = []  # forced tokens that were proposed, or are in the tree of this step
        self._proposed: _native.DraftTree | None = None
        self._reckoned = (0, 0.0)  # rows and price that the drafter knows
        self._spent = 0.0  # seconds of planning, and of learning from the step before

    @classmethod
    def of(cls, model: SharedLlama, company: SharedGuard) -> SharedPlanner:
        """For one conversation of a model."""
        memory = model._hierarchy
        return cls(
            model._n_vocab,
            model._draft_config,
            calibration=None if memory is None else memory.calibration,
            tiers=() if memory is None else memory.tiers,
            costs=() if memory is None else memory.cost_rows,
            company=company,
        )

    def cost_rows(self) -> list[CostRow]:
        """As they were: company says nothing about them."""
        return self._costs

    def follow(self, forced: ForcedTokens | None) -> None:
        """The generation that begins is drawn under a grammar, which may force tokens; None: under none."""
        self._forced = forced
        self._right, self._tried = RIGHT, DRAFTED

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:
        """The conversation so far; its last token is drawn already."""
        super().begin(tokens, prediction)
        if self._forced is not None:
            self._forced.accept(int(tokens[-1]))

    def propose(self, root: int, rows: int, leaves: int, price: float = 0.0) -> NDArray[np.float32]:
        """The chances of the nodes of the best draft, root aside, the likeliest first.

        Args:
            root: The conversation's last token.
            rows: Most rows.
            leaves: Most leaves.
            price: What a row costs at least, in shares of a forward: less likely nodes are not looked for.
        """
        started = perf_counter()
        try:
            return self._propose(root, rows, leaves, price)
        finally:
            self._spent += perf_counter() - started

    def _propose(self, root: int, rows: int, leaves: int, price: float) -> NDArray[np.float32]:
        self._chain, self._proposed = [], None
        self._rests = self.company.rests
        chances = NOTHING
        if not self._rests:
            self._read()
        if not self._rests and rows > 1:
            reckoned = rows, round(price, 2)
            if reckoned != self._reckoned:
                sizes = np.arange(1, rows + 1, dtype=np.int32)
                self._drafter.set_cost(sizes, 1 + np.float32(reckoned[1]) * (sizes - 1).astype(np.float32))
                self._reckoned = reckoned
            self._proposed = self._grow(rows, leaves)
            chances = np.sort(self._proposed.probability[1:])[::-1]
        if self._forced is not None and rows > LEAST_TOKENS:
            forced = self._forced.forced_after(root)[: rows - 1]
            sure = (self._right / self._tried) ** np.arange(1, len(forced) + 1, dtype=np.float32)
            if len(forced) >= LEAST_TOKENS and sure.sum() > chances.sum():
                self._chain = forced
                return sure.astype(np.float32)
        return chances

    def take(self, root: int, rows: int) -> _native.DraftTree:
        """The likeliest part of what was proposed: so many rows, root aside."""
        if rows == 0:
            self._chain = []
            return root_alone(root)
        if self._chain:
            del self._chain[rows:]
            tree, chance = root_alone(root), 1.0
            for node, token in enumerate(self._chain):
                chance *= self._right / self._tried
                tree.add(token, node, Tier.context, chance)
            return tree
        if self._proposed is not None and len(self._proposed) == rows + 1:
            return self._proposed
        return self._drafter.cut(rows + 1)

    def learn_shared(self, step: Step, price: float, share: float) -> None:
        """After a forward that others shared.

        Args:
            step: What came of this conversation's draft.
            price: What a row more cost, in shares of a forward without drafts.
            share: Seconds of such a share. All wait while one conversation plans, so planning counts against it.
        """
        started, spent = perf_counter(), self._spent
        self._steps += 1
        if self._rests:
            self._unread += step.tokens
        else:
            tokens = np.array(step.tokens, np.int32)
            self.lookups.allow(step.seconds)
            self._drafter.learn(step.tree, tokens)
            self._recycle(step)
            rows = len(step.tree)
            planning = spent / share if share > 0 else 0.0
            self.company.step(len(tokens), 1 + (rows - 1) * price, planning)
            self._drafter.append(tokens)
        if self._forced is not None:
            for token in step.tokens:
                self._forced.accept(token)
            if self._chain:
                taken = len(step.path) - 1
                self._right += taken
                self._tried += min(taken + 1, len(self._chain))
        self._spent = perf_counter() - started
