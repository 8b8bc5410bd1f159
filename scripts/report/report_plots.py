"""The plots of docs/benchmarks.md, as SVG files whose text stays text; the same data gives the same bytes.

Colours are those of Okabe and Ito, which colour-blind people tell apart; markers differ, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from report_data import Run, speedups

mpl.use("svg")
import matplotlib.pyplot as plt

ORANGE, SKY, GREEN, BLUE = "#E69F00", "#56B4E9", "#009E73", "#0072B2"
RED, PURPLE, GREY = "#D55E00", "#CC79A7", "#7F7F7F"
COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, GREY)
MARKERS = "oDs^vPX"
OURS = {"auto": (BLUE, "o"), "auto-warm": (SKY, "D"), "paper": (ORANGE, "^"), "llama-cpp-pld": (PURPLE, "v")}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hd_edge",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def draw(runs: list[Run], folder: Path) -> list[Path]:
    """Draws every plot that the runs have data for; returns the files."""
    made = []
    with plt.rc_context(STYLE):
        for run in runs:
            if run.kind in ("spec-bench", "trace-bench") and len(run.arms["plain"]["by_category"]) > 1:
                made.append(_save(_by_group(run), folder / f"{run.name}.svg"))
            if run.kind == "ablations" and "warm_up" in run.data:
                made.append(_save(_warm_up(run), folder / f"{run.name}-warm-up.svg"))
        of = {kind: [run for run in runs if run.kind == kind] for kind in ("cost-curve", "replay", "spec-bench")}
        if of["cost-curve"]:
            made.append(_save(_cost_curves(of["cost-curve"]), folder / "cost-curves.svg"))
        if of["replay"]:
            made.append(_save(_reliability(of["replay"]), folder / "reliability.svg"))
        deep = [run for run in of["spec-bench"] if any(sums.get("accepted_by_depth") for sums in run.arms.values())]
        if deep:
            made.append(_save(_depths(deep), folder / "acceptance-by-depth.svg"))
    return made


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    return path


def shown(run: Run) -> dict[str, tuple[str, str]]:
    """Arms in the plot, colour and marker: ours, the published configuration, and the best peer of llama-server."""
    ratios = {arm: speedups(run, arm)[0].value for arm in run.data["speedup"] if arm != "plain"}
    arms = {arm: style for arm, style in OURS.items() if arm in ratios}
    servers = [arm for arm in ratios if arm.startswith("llama-server-")]
    if servers:
        arms[max(servers, key=ratios.__getitem__)] = (GREEN, "s")
    return arms


def _by_group(run: Run) -> Any:
    """One line per group; a point and its interval per arm."""
    arms = shown(run)
    groups = [*list(run.arms["plain"]["by_category"])[::-1], "all"]
    figure, axes = plt.subplots(figsize=(6.4, 0.9 + 0.42 * len(groups)))
    axes.axvline(1, color=GREY, linewidth=0.8)
    for i, (arm, (colour, marker)) in enumerate(arms.items()):
        overall, by_group = speedups(run, arm)
        ratios = {**by_group, "all": overall}
        shift = (len(arms) / 2 - i - 0.5) * 0.7 / len(arms)
        at = [(n + shift, ratios[group]) for n, group in enumerate(groups) if group in ratios]
        for y, ratio in at:
            if ratio.low is not None and ratio.high is not None:
                axes.plot([ratio.low, ratio.high], [y, y], color=colour, linewidth=1.2)
        axes.plot([r.value for _, r in at], [y for y, _ in at], marker, color=colour, markersize=4.5, label=arm)
    axes.set_yticks(range(len(groups)), [group.replace("_", " ") for group in groups])
    axes.set_xlabel("speed-up over plain decoding, 95 % interval")
    axes.grid(axis="x", linewidth=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _cost_curves(runs: list[Run]) -> Any:
    """One panel per model."""
    columns = min(len(runs), 3)
    lines = -(-len(runs) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(2.7 * columns, 2.3 * lines), squeeze=False, sharex=True)
    panels = list(grid.flat)
    for axes, run in zip(panels, runs, strict=False):
        sizes = [n for n in run.data["rows"] if n <= 32]
        for arm, name, colour, marker in (
            ("llama_cpp", "llama.cpp's kernels", RED, "s"),
            ("row_kernels", "hd_edge's kernels", BLUE, "o"),
        ):
            curve = run.data[arm]
            axes.plot(
                sizes,
                [value / curve[0] for value in curve[: len(sizes)]],
                color=colour,
                marker=marker,
                ms=3,
                label=name,
            )
        axes.set_title(" ".join(filter(None, (run.data["model"].removesuffix(".gguf"), run.data.get("type")))), size=9)
        axes.set_ylim(bottom=0)
        axes.grid(linewidth=0.3)
    for axes in panels[len(runs) :]:
        axes.remove()
    for axes in grid[-1]:
        axes.set_xlabel("rows n")
    for axes in grid[:, 0]:
        axes.set_ylabel("T(n) / T(1)")
    panels[0].legend(loc="upper left", fontsize=7.5)
    figure.tight_layout()
    return figure


def _depths(runs: list[Run]) -> Any:
    """Accepted tokens at a depth over forwards; one panel per model."""
    figure, grid = plt.subplots(1, len(runs), figsize=(3.1 * len(runs) + 1.2, 2.5), squeeze=False, sharey=True)
    for axes, run in zip(grid[0], runs, strict=True):
        for arm, (colour, marker) in OURS.items():
            sums = run.arms.get(arm, {})
            if depths := (sums.get("accepted_by_depth") or [])[:16]:
                shares = [count / sums["forwards"] for count in depths]
                axes.plot(range(1, len(shares) + 1), shares, color=colour, marker=marker, ms=3, label=arm)
        axes.set_title(run.name, size=9)
        axes.set_xlabel("depth in the draft")
        axes.grid(linewidth=0.3)
    grid[0][0].set_ylabel("accepted per forward")
    grid[0][-1].legend()
    return figure


def _reliability(runs: list[Run]) -> Any:
    """Predicted against actual acceptance, points as large as the share of nodes."""
    figure, axes = plt.subplots(figsize=(3.6, 3.4))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    for i, run in enumerate(runs):
        points = []
        for result in run.data["cost"].values():
            found = result["reliability"]
            total = max(sum(found["nodes"]), 1)
            deciles = zip(found["predicted"], found["actual"], found["nodes"], strict=True)
            points += [(p, a, n / total) for p, a, n in deciles if n >= 0.01 * total]
        if points:
            x, y, shares = zip(*points, strict=True)
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i // len(COLOURS) % len(MARKERS)]}
            sizes = [8 + 80 * share for share in shares]
            axes.scatter(x, y, s=sizes, alpha=0.7, linewidths=0, label=run.name.removeprefix("replay-"), **style)
    axes.set_xlabel("predicted chance of a drafted node")
    axes.set_ylabel("share that came true")
    axes.set_aspect("equal")
    axes.grid(linewidth=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=0.7)
    return figure


def _warm_up(run: Run) -> Any:
    """Moving mean of the speed-up over conversations."""
    window = run.data["warm_up"].get("window", 20)
    figure, axes = plt.subplots(figsize=(5.2, 2.6))
    for i, (name, values) in enumerate(run.data["warm_up"]["speedup"].items()):
        means = [sum(values[max(0, n - window) : n]) / min(n, window) for n in range(1, len(values) + 1)]
        axes.plot(range(1, len(means) + 1), means, color=COLOURS[i], label=name)
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_xlabel("conversation")
    axes.set_ylabel(f"speed-up, mean of {window}")
    axes.grid(linewidth=0.3)
    axes.legend()
    return figure
