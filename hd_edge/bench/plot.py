"""A picture of a benchmark: speed-up by category, and where the tokens came from (matplotlib, extra ``bench``)."""

from __future__ import annotations

import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

from hd_edge.errors import ConfigError
from hd_edge.extras import install
from hd_edge.store.output import PICTURE_FIELDS, PICTURE_MAKER, picture_mark, write
from hd_edge.tiers.colours import COLOURS, PLAIN

from .sentence import category_name, drafting_arm, judge, sentence
from .table import title
from .turns import PLAIN as PLAIN_ARM

SLATES = ("#7f93ad", "#b0bccb", "#5b6b80", "#93a1b1", "#44546a", "#cbd3dd")  # arms; the tiers have the colours
PALE = "#e6e6e6"
INK = "#333333"


def _kind(path: Path) -> str:
    return path.suffix.lstrip(".").lower()


def check_plot(path: str | Path) -> None:
    """Finds out before the benchmark whether it could be drawn afterwards.

    Raises:
        ConfigError: matplotlib is not installed, or it cannot write such a file.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = f"a plot needs {error.name}: {install('bench')} brings it"
        raise ConfigError(msg) from error
    kinds = sorted(Figure().canvas.get_supported_filetypes())
    if _kind(Path(path)) not in kinds:
        msg = f"plot {path}: its name ends in none of {', '.join(kinds)}"
        raise ConfigError(msg)


def plot(summary: dict[str, Any], path: str | Path) -> None:
    """Draws what ``summarise()`` returns: a line for each category, all together first.

    Left how many times as fast as plain decoding each arm is, with the interval where there is one; right which share
    of the tokens of the drafting arm came from which tier.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written, or something else stands there.
    """
    check_plot(path)
    path = Path(path)
    from matplotlib.figure import Figure

    ratios = {arm: ratio for arm, ratio in summary["speedup"].items() if arm != PLAIN_ARM}
    drafting = drafting_arm(list(summary["speedup"])) or PLAIN_ARM
    groups = list(summary["arms"][drafting]["by_category"])
    names = ["all", *(category_name(group) for group in groups)] if len(groups) > 1 else ["all"]
    height = 2.3 + len(names) * (0.3 + 0.2 * max(len(ratios), 1))
    figure = Figure(figsize=(9, height), layout="constrained", facecolor="white")
    speeds, sources = figure.subplots(1, 2, sharey=True)
    for axes in (speeds, sources):
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axes.tick_params(length=0, labelsize=10, labelcolor=INK)
        axes.xaxis.set_visible(False)
    _speeds(speeds, ratios, groups[: len(names) - 1])
    speeds.set_yticks(range(len(names)), names)
    speeds.set_ylim(len(names) - 0.4, -0.6)
    _sources(sources, drafting, summary["arms"][drafting], groups[: len(names) - 1])
    head = textwrap.fill(sentence(summary) or "Speed of drafted against plain decoding", 76)
    figure.suptitle(head, fontsize=13, fontweight="bold", x=0.02, ha="left", color=INK)
    figure.supxlabel(textwrap.fill(title(summary), 120), fontsize=8, color="#666666", x=0.02, ha="left")
    field = PICTURE_FIELDS.get(_kind(path))
    made = BytesIO()
    figure.savefig(made, format=_kind(path), dpi=150, metadata={field: PICTURE_MAKER} if field else None)
    try:
        write(path, made.getvalue(), picture_mark(path))
    except OSError as error:
        msg = f"plot {path}: {error.strerror or error}"
        raise ConfigError(msg) from error


def _speeds(axes: Any, ratios: dict[str, Any], groups: list[str]) -> None:
    """Bars with their numbers behind them, pale where the difference from plain decoding may be chance."""
    thick = 0.75 / max(len(ratios), 1)
    reach = 1.0
    for number, (arm, ratio) in enumerate(ratios.items()):
        shift = (number - (len(ratios) - 1) / 2) * thick
        for place, found in enumerate([ratio["overall"], *(ratio["by_category"][group] for group in groups)]):
            if found is None:
                continue
            median, ends = found["median"], [found["median"]]
            at = place + shift
            style = {"color": SLATES[number % len(SLATES)], "alpha": 1.0 if judge(found) else 0.45}
            axes.barh(at, median, thick * 0.92, label=None if place else arm, **style)
            if found["low"] is not None:
                ends = [found["low"], found["high"]]
                axes.plot(ends, [at, at], color="black", linewidth=1, solid_capstyle="butt")
            axes.text(max(*ends, median), at, f" {median:.2f}x", va="center", fontsize=9, fontweight="bold", color=INK)
            reach = max(reach, *ends)
    axes.set_xlim(0, reach * 1.15 + 0.1)
    axes.axvline(1, color="#888888", linewidth=1, linestyle=":")
    axes.set_title("how fast, against plain decoding (dotted)\npale: may be chance", fontsize=10, loc="left", color=INK)
    if len(ratios) > 1:
        axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3)


def _sources(axes: Any, arm: str, sums: dict[str, Any], groups: list[str]) -> None:
    """Shares of tokens by tier, in the tiers' colours."""
    shown: dict[str, str] = {}
    for place, found in enumerate([sums, *(sums["by_category"][group] for group in groups)]):
        accepted = {tier: count for tier, count in found["accepted_by_tier"].items() if count}
        everything = max(sum(accepted.values()) + found["forwards"], 1)  # each forward adds a token of its own
        left = 0.0
        for tier, count in [*accepted.items(), (PLAIN, everything - sum(accepted.values()))]:
            share = count / everything
            colour = COLOURS[tier].light if tier in COLOURS else PALE if tier == PLAIN else SLATES[1]
            label = None if tier in shown else shown.setdefault(tier, tier)
            axes.barh(place, share, 0.7, left=left, color=colour, label=label)
            if share >= 0.08:
                ink = INK if colour == PALE else "white"
                axes.text(left + share / 2, place, f"{share:.0%}", va="center", ha="center", fontsize=9, color=ink)
            left += share
    axes.set_xlim(0, 1)
    axes.set_title(f"where the tokens of '{arm}' came from\n", fontsize=10, loc="left", color=INK)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=5)
