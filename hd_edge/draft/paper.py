"""PaperPlanner: the configuration that the Hierarchy Drafting paper published, for comparison.

Seven drafts of four tokens in the order context, model, statistics, whatever they cost (arXiv 2502.05609).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hd_edge import _native

from .lookup import Lookups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hd_edge.config import DraftConfig
    from hd_edge.tiers.tier import StoredTier

    from .planner import Step, TokenArray

ROUNDS = 4  # of look-ups in one step: each token of a draft needs the one before


class PaperPlanner:
    """Plans the published drafts.

    Args:
        n_vocab: Size of the target's vocabulary.
        config: Tiers in use, most rows.
        tiers: The SQLite tiers in use.
    """

    def __init__(self, n_vocab: int, config: DraftConfig, *, tiers: Sequence[StoredTier] = ()) -> None:
        self._drafter = _native.PaperDrafter(n_vocab)
        self._drafter.use_context("context" in config.tiers)
        self.lookups = Lookups(self._drafter, tiers)

    def begin(self, tokens: TokenArray, prediction: TokenArray) -> None:  # noqa: ARG002
        """The conversation is now ``tokens``; the published method knows no predictions."""
        self._drafter.begin(tokens)

    def plan(self, root: int, rows: int, leaves: int) -> _native.DraftTree:  # noqa: ARG002
        """The drafts of this step, merged into one tree; the root alone where there are none."""
        tree = self._drafter.grow(rows, leaves)
        for _ in range(ROUNDS):
            if not self.lookups.fetch():
                break
            tree = self._drafter.grow(rows, leaves)
        return tree

    def learn(self, step: Step) -> None:
        """After a step: the context learns what was emitted."""
        self.lookups.allow(step.seconds)
        self._drafter.append(np.array(step.tokens, np.int32))
