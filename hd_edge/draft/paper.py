"""PaperPlanner: the configuration that the Hierarchy Drafting paper published, for comparison.

Seven drafts of four tokens in the order context, model, statistics, whatever they cost (arXiv 2502.05609).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hd_edge import _native
from hd_edge.tiers import ModelTier

from .lookup import Lookups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hd_edge.config import DraftConfig
    from hd_edge.tiers.tier import StoredTier

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
        self._tiers = tiers
        self.lookups = Lookups(self._drafter, tiers)

    def begin(self, tokens: NDArray[np.int32]) -> None:
        """The conversation is now ``tokens``."""
        self._drafter.begin(tokens)

    def reference(self, tokens: NDArray[np.int32]) -> None:
        """The published method has no such thing."""

    def prepare(self, max_rows: int) -> None:
        """The published method measures nothing."""

    def plan(self, max_rows: int, max_leaves: int) -> _native.DraftTree:
        """The drafts of this step, merged into one tree; the root alone where there are none."""
        tree = self._drafter.grow(max_rows, max_leaves)
        for _ in range(ROUNDS):
            if not self.lookups.fetch():
                break
            tree = self._drafter.grow(max_rows, max_leaves)
        return tree

    def learn(
        self,
        verifier: _native.Verifier | None,  # noqa: ARG002
        tree: _native.DraftTree,  # noqa: ARG002
        path: Sequence[int],  # noqa: ARG002
        emitted: Sequence[int],
        seconds: float,
    ) -> None:
        """After a step: the context learns what was emitted."""
        self.lookups.allow(seconds)
        self._drafter.append(np.array(emitted, np.int32))

    def finish(self, tokens: NDArray[np.int32], prompt_len: int) -> None:
        """A generation ended: the model tier takes it in."""
        for tier in self._tiers:
            if isinstance(tier, ModelTier):
                tier.learn(tokens, prompt_len)
