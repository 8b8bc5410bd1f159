"""The planner that a ``DraftConfig`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .cost import CostCurve
from .paper import PaperPlanner
from .planner import NoDraft, Planner
from .tree_planner import TreePlanner

if TYPE_CHECKING:
    from hd_edge.config import DraftConfig
    from hd_edge.draft.drafter.tier import DrafterTier
    from hd_edge.tiers.memory import Hierarchy


def planner_for(config: DraftConfig, n_vocab: int, memory: Hierarchy, drafter: DrafterTier | None = None) -> Planner:
    """The profile's planner over these tiers; it goes on from what the store remembers, and is saved there."""
    if config.profile == "off":
        return NoDraft()
    if config.profile == "paper":
        return PaperPlanner(config, tiers=memory.tiers)
    cost = CostCurve(memory.cost_rows)
    planner = TreePlanner(
        n_vocab, config, calibration=memory.calibration, cost=cost, tiers=memory.tiers, drafter=drafter
    )
    memory.learner = planner
    return planner
