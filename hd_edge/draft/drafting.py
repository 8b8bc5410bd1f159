"""Drafting: the seam of ``hd_edge.Llama`` through which tools draft with planners of their own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .tree_planner import TreePlanner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hd_edge import _native
    from hd_edge.draft.drafter.loading import LoadedDrafter
    from hd_edge.draft.drafter.tier import DrafterTier
    from hd_edge.tiers.memory import Hierarchy

    from .planner import Planner


class Drafting:
    """What a model drafts with, to look at and to exchange for a while."""

    _planner: Planner
    _hierarchy: Hierarchy | None
    _verifier: _native.Verifier | None
    _plain_reason: str
    _loaded_drafter: LoadedDrafter | None = None

    @contextmanager
    def drafting(self, planner: Planner, memory: Hierarchy | None = None) -> Iterator[None]:
        """Generations that begin inside draft with this planner and are learned by this memory; None: by nobody."""
        before = self._planner, self._hierarchy
        self._planner, self._hierarchy = planner, memory
        try:
            yield
        finally:
            self._planner, self._hierarchy = before

    @property
    def _drafter_tier(self) -> DrafterTier | None:
        """The small model that drafts for this one; None: there is none."""
        return None if self._loaded_drafter is None else self._loaded_drafter.tier

    def _tell_drafter(self, messages: list[dict[str, str]] | None, prompt_tokens: int) -> None:
        """A generation comes that answers a conversation, or continues a text of so many tokens."""
        if isinstance(self._planner, TreePlanner) and self._planner.asking is not None:
            self._planner.asking.tier.converse(messages, prompt_tokens)

    @property
    def planner(self) -> Planner:
        """What drafts now, for tools that show its cost curve."""
        return self._planner

    @property
    def verifier(self) -> _native.Verifier | None:
        """The native verifier, for tools that time it; None where this model decodes plainly."""
        return self._verifier

    @property
    def plain_reason(self) -> str:
        """Why this model decodes plainly; empty if it need not."""
        return self._plain_reason
