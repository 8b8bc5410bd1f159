"""What a benchmark says to a person, in one sentence."""

from __future__ import annotations

from typing import Any

from hd_edge.model.questions import OWN

from .turns import PLAIN

ENOUGH = 2  # answers of a group
NOTICED = 0.03  # smaller differences from 1.00 are "changes nothing", whatever the interval
NAMES = {
    "conversation": "free chat",
    "qa": "questions",
    "math_reasoning": "arithmetic",
    "rag": "questions about documents",
    "summarization": "summaries",
    OWN: "these prompts",
}


def sentence(summary: dict[str, Any]) -> str:
    """The outcome: "On this machine drafting makes this model 1.4x as fast on editing and changes nothing on ...".

    A group counts as faster or slower where its whole interval lies on one side of 1.00 and the median is at least
    3 % away from it. One answer proves nothing: where a category has no more, all prompts are one group.

    Args:
        summary: What ``summarise()`` returns.

    Returns:
        An empty string if there is no arm to compare with ``plain``, or hardly an answer.
    """
    arm = drafting_arm(list(summary["speedup"]))
    overall = summary["speedup"][arm]["overall"] if arm else None
    if arm is None or overall is None or overall["answers"] < ENOUGH:
        return ""
    faster: list[tuple[float, str]] = []
    slower: list[tuple[float, str]] = []
    same: list[str] = []
    ratios = summary["speedup"][arm]["by_category"]
    if any(ratio is None or ratio["answers"] < ENOUGH for ratio in ratios.values()):
        ratios = {OWN: summary["speedup"][arm]["overall"]}
    for category, ratio in ratios.items():
        name = category_name(category)
        verdict = judge(ratio)
        if verdict > 0:
            faster.append((ratio["median"], name))
        elif verdict < 0:
            slower.append((ratio["median"], name))
        else:
            same.append(name)
    parts = []
    if faster:
        parts.append(f"makes this model {_speeds(sorted(faster, reverse=True))}")
    if same:
        parts.append(f"changes nothing on {_join(same)}")
    if slower:
        parts.append(f"slows it down to {_speeds(sorted(slower), precise=True)}")
    what = "drafting" if arm == "auto" else f"the arm {arm}"
    return f"On this machine {what} {_join(parts, ', and ' if len(faster) > 1 else ' and ')}."


def category_name(category: str) -> str:
    """A category in a person's words."""
    return NAMES.get(category, category.replace("_", " "))


def drafting_arm(names: list[str]) -> str | None:
    """The arm that people ask about: ``auto`` if it is there, else the first that is not ``plain``."""
    others = [name for name in names if name != PLAIN]
    return "auto" if "auto" in others else next(iter(others), None)


def judge(ratio: dict[str, Any] | None) -> int:
    """1: faster than plain, -1: slower, 0: neither is sure (or nothing was long enough to tell)."""
    if ratio is None or ratio["low"] is None or abs(ratio["median"] - 1) < NOTICED:
        return 0
    if ratio["low"] <= 1 <= ratio["high"]:
        return 0
    return 1 if ratio["median"] > 1 else -1


def _speeds(groups: list[tuple[float, str]], *, precise: bool = False) -> str:
    """``1.4x as fast on editing and 1.2x on translation``; groups of one speed share it."""
    by_speed: dict[str, list[str]] = {}
    for speed, name in groups:
        by_speed.setdefault(f"{speed:.2f}x" if precise or speed < 1.1 else f"{speed:.1f}x", []).append(name)
    parts = [f"{speed} on {_join(names)}" for speed, names in by_speed.items()]
    if not precise:
        first, rest = parts[0].split(" ", 1)
        parts[0] = f"{first} as fast {rest}"
    return _join(parts)


def _join(parts: list[str], last: str = " and ") -> str:
    return last.join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
