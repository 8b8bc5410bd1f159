"""Decoding with a planner, a curve of our own and no model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import NO_PREDICTION, Step
from hd_edge.draft.tree_planner import TreePlanner

VOCAB = 300
FLAT = {1: 1.0, 2: 1.05, 4: 1.1, 8: 1.2, 16: 1.4}
STEEP = {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}


def planner(table=FLAT, **config) -> TreePlanner:
    return TreePlanner(VOCAB, DraftConfig(**config), cost=CostCurve.of(table))


def decode(
    plan: TreePlanner,
    text: np.ndarray,
    at: int,
    max_rows: int = 63,
    begin: bool = True,
    seconds: Callable[[int], float] | None = None,
    planning: float = 0.0,
) -> list[int]:
    """Decodes ``text`` from ``at`` on as the loop does; returns the rows of each forward.

    ``seconds`` of a forward by rows; None: what the planner's own curve says. ``planning``: seconds of each plan.
    """
    if begin:
        plan.begin(text[:at], NO_PREDICTION)
    rows = []
    while at < len(text):
        tree = plan.plan(int(text[at - 1]), max_rows, 16)
        assert tree.check(VOCAB) == ""
        path = tree.follow(text[at:-1].tolist())
        tokens = text[at : at + len(path)].tolist()
        taken = plan.cost.seconds(len(tree), at) if seconds is None else seconds(len(tree))
        plan.learn(Step(tree, path, tokens, taken, planning))
        rows.append(len(tree))
        at += len(path)
        assert plan.context == at
    return rows


def repeating() -> np.ndarray:
    return np.tile(np.random.default_rng(1).permutation(VOCAB)[:50], 30).astype(np.int32)


def noise(n: int = 2000) -> np.ndarray:
    return np.random.default_rng(2).integers(0, VOCAB, n).astype(np.int32)
