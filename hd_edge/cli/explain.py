"""Explanation: a page that shows each token's tier, the tree that was verified there, and why it had that size."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from hd_edge.stats import TIER_NAMES
from hd_edge.store.output import write
from hd_edge.tiers.colours import COLOURS, PLAIN, css

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hd_edge import _native
    from hd_edge.draft.planner import Step
    from hd_edge.draft.tree_planner import TreePlanner

MARK = re.compile(
    rb'\A<!doctype html>\n<html lang="en">\n<meta name="generator" content="hd-edge generate">'
)  # of our pages
MARKS = "/* COLOURS */", "/* MEANINGS */", "/* STEPS */"  # the last may hold any text


class Explanation:
    """Records the steps of a generation; the decode loop calls it after each.

    Args:
        text_of: The text of a token id.
        planner: Whose cost curve and expectations are shown; None: trees alone.
    """

    def __init__(self, text_of: Callable[[int], str], planner: TreePlanner | None = None) -> None:
        self._text_of = text_of
        self._planner = planner
        self._context = 0
        self.steps: list[dict[str, Any]] = []

    def __call__(self, step: Step) -> None:
        """Records a step."""
        tree, path = step.tree, step.path
        accepted = set(path)
        if not self.steps:  # the first token came from the prompt's forward
            self.steps.append(
                {"tokens": [{"text": self._text_of(int(tree.token[0])), "tier": TIER_NAMES[0]}], "nodes": []}
            )
        nodes = [
            {
                "text": self._text_of(int(token)),
                "depth": int(depth),
                "tier": TIER_NAMES[int(tier)],
                "chance": round(float(chance), 4),
                "accepted": node in accepted,
            }
            for node, (token, depth, tier, chance) in enumerate(
                zip(tree.token, tree.depth, tree.tier, tree.probability, strict=True)
            )
        ]
        tokens = [
            {
                "text": self._text_of(token),
                "tier": TIER_NAMES[tree.tier_of(path[i + 1])] if i + 1 < len(path) else TIER_NAMES[0],
            }
            for i, token in enumerate(step.tokens)
        ]
        self.steps.append({"tokens": tokens, "nodes": nodes, **self._decision(tree)})

    def _decision(self, tree: _native.DraftTree) -> dict[str, Any]:
        if self._planner is None:
            return {}
        sizes, costs = self._planner.cost.relative(self._planner.context)
        cost = {int(n): round(float(c), 3) for n, c in zip(sizes, costs, strict=True)}
        return {
            "expected": round(float(tree.probability.sum()), 3),
            "cost": cost.get(len(tree)),
            "costs": cost,
            "paused": self._planner.guard.paused,
        }

    def write(self, path: Path) -> None:
        """Writes one HTML file that needs nothing else.

        Raises:
            ConfigError: Something else stands there.
            OSError: The file cannot be written.
        """
        page = files(__package__).joinpath("explain.html").read_text(encoding="utf-8")
        meanings = {**{tier: colour.meaning for tier, colour in COLOURS.items()}, TIER_NAMES[0]: PLAIN}
        for mark, text in zip(MARKS, (css(), _script(meanings), _script(self.steps)), strict=True):
            page = page.replace(mark, text, 1)
        write(path, page.encode("utf-8", "replace"), MARK)


def _script(value: Any) -> str:
    """JSON that no text in it can end the script of."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
