"""A benchmark as a Markdown table, as llama-bench prints its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .sentence import judge
from .summary import bounds
from .turns import PLAIN

HEADER = ("arm", "group", "t/s", "speed-up", "95 % interval", "tokens/forward", "rows/forward", "same text")
TEXT = 2  # so many columns stand on the left
SPEEDUP = HEADER.index("speed-up")


def title(summary: dict[str, Any]) -> str:
    """One line: model, machine, settings."""
    model, settings, machine = summary["model"], summary["settings"], summary["hardware"]
    answers, threads = len(summary["answers"]), settings["n_threads"]
    how = "recorded"  # and followed by forced forwards
    if "max_tokens" in settings:
        drawn = "greedy" if settings["temperature"] == 0 else f"temperature {settings['temperature']:g}"
        how = f"of up to {settings['max_tokens']} tokens, {drawn}"
    parts = [
        model["file"],
        f"{model['bytes'] / 2**20:.0f} MiB",
        f"{machine['processor']}, {threads} thread{'s' if threads > 1 else ''}",
        f"{answers} answer{'s' if answers > 1 else ''} {how}",
    ]
    return " · ".join(parts)


def table(summary: dict[str, Any], colour: Callable[[str, int], str] | None = None) -> list[str]:
    """Each arm over all answers, then by category.

    Args:
        summary: What ``summarise()`` returns.
        colour: Makes a speed-up that is surely above (1) or below (-1) that of ``plain`` stand out.

    Returns:
        Lines. Tokens per second are those of all answers together, ± the standard deviation of single answers where
        there are several.
    """
    rows: list[tuple[str, ...]] = [HEADER]
    verdicts = [0]
    for arm, found in summary["arms"].items():
        groups = {"all": found}
        if len(found["by_category"]) > 1:
            groups |= found["by_category"]
        for group, sums in groups.items():
            ratio = _ratio(summary, arm, group)
            same = summary["identical"].get(arm) if group == "all" and arm != PLAIN else None
            rows.append((arm, group, *_cells(sums, ratio), f"{same['identical']}/{same['prompts']}" if same else ""))
            verdicts.append(judge(ratio))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = []
    for row, verdict in zip(rows, verdicts, strict=True):
        cells = [
            cell.ljust(width) if column < TEXT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if colour is not None and verdict:
            cells[SPEEDUP] = colour(cells[SPEEDUP], verdict)
        lines.append(f"| {' | '.join(cells)} |")
    rule = ["-" * width if column < TEXT else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return [lines[0], f"| {' | '.join(rule)} |", *lines[1:]]


def _ratio(summary: dict[str, Any], arm: str, group: str) -> dict[str, Any] | None:
    ratios = summary["speedup"].get(arm)
    if ratios is None or arm == PLAIN:
        return None
    found: dict[str, Any] | None = ratios["overall"] if group == "all" else ratios["by_category"][group]
    return found


def _cells(sums: dict[str, Any], ratio: dict[str, Any] | None) -> tuple[str, ...]:
    spread = sums["tokens_per_second_spread"]
    return (
        f"{sums['tokens_per_second']:.2f}" + (f" ± {spread:.2f}" if spread is not None else ""),
        f"{ratio['median']:.2f}" if ratio else "",
        bounds(ratio) if ratio else "",
        f"{sums['mean_accepted_tokens']:.2f}",
        f"{sums['rows_per_forward']:.2f}",
    )
