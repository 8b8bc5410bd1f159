"""Drafting: the seam of ``hd_edge.Llama`` through which tools draft with planners of their own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hd_edge.model.vocabulary import identify
from hd_edge.tiers.memory import Hierarchy

from .profiles import planner_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from hd_edge import _native
    from hd_edge.config import DraftConfig

    from .planner import Planner


class Drafting:
    """What a model drafts with, to look at and to exchange for a while."""

    _planner: Planner
    _hierarchy: Hierarchy | None
    _verifier: _native.Verifier | None
    _plain_reason: str
    _cost_settings: str

    def make_planner(
        self,
        config: DraftConfig,
        *,
        store: str | PathLike[str] | None,
        statistics: str | PathLike[str] | None,
        learn: bool,
    ) -> tuple[Planner, Hierarchy]:
        """A planner for this model, and the memory that it drafts from and learns into."""
        llama: Any = self
        identity, cost = identify(llama.model), self._cost_settings
        memory = Hierarchy(identity, config, store=store, statistics=statistics, learn=learn, cost_settings=cost)
        return planner_for(config, llama._n_vocab, memory), memory

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
