"""The plots of docs/benchmarks.md, one per question, as SVG files whose text stays text; same data, same bytes.

They have no background and take the ink that suits a light or a dark page. Colours are those of Okabe and Ito, which
colour-blind people tell apart; markers differ, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from report_data import Run, model_of, speedups
from report_headline import MOST, lines, speed

mpl.use("svg")
import matplotlib.pyplot as plt

ORANGE, SKY, GREEN, BLUE = "#E69F00", "#56B4E9", "#009E73", "#0072B2"
RED, PURPLE, GREY = "#D55E00", "#CC79A7", "#7F7F7F"
COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, GREY)
MARKERS = "oDs^vPX"
OURS = {"auto": (BLUE, "o"), "auto-warm": (SKY, "D"), "paper": (ORANGE, "^"), "llama-cpp-pld": (PURPLE, "v")}
INK = "#123456"  # stands for the page's own ink until the file is written
PAGES = "svg{color:#24292f}@media(prefers-color-scheme:dark){svg{color:#d1d7e0}}"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hd_edge",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def draw(runs: list[Run], folder: Path) -> list[Path]:
    """Draws every plot that the runs have data for; returns the files."""
    made = []
    with plt.rc_context(STYLE):
        for name, (kinds, plot) in PLOTS.items():
            if found := [run for run in runs if run.kind in kinds]:
                figure = plot(found)
                path = folder / f"{name}.svg"
                figure.savefig(path, metadata={"Date": None}, bbox_inches="tight", transparent=True)
                plt.close(figure)
                drawn = path.read_text(encoding="utf-8").replace(INK, "currentColor")
                path.write_text(drawn.replace("*{stroke-linejoin", PAGES + "*{stroke-linejoin", 1), encoding="utf-8")
                made.append(path)
    return made


def _speed(runs: list[Run]) -> Any:
    """A panel per kind of request, a bar per program."""
    found = lines(runs)[:MOST]
    figure, grid = plt.subplots(len(found), 1, figsize=(6.6, 0.95 * len(found)), squeeze=False, layout="constrained")
    for axes, line in zip(grid[:, 0], found, strict=True):
        names = list(line.speeds)[::-1]
        colours = [BLUE, *[GREY] * (len(names) - 1)]
        bars = axes.barh(names, [line.speeds[name] for name in names], color=colours, height=0.72)
        axes.bar_label(bars, labels=[speed(line.speeds[name]) for name in names], padding=3)
        axes.set_title(line.what, size=9, loc="left")
        axes.xaxis.set_visible(False)
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.tick_params(length=0)
        axes.margins(x=0.12)
    return figure


def _by_text(runs: list[Run]) -> Any:
    """The first run: one line per group; a point and its interval per arm."""
    run = runs[0]
    ratios = {arm: speedups(run, arm) for arm in run.data["speedup"]}
    arms = {arm: style for arm, style in OURS.items() if arm in ratios}
    if servers := [arm for arm in ratios if arm.startswith("llama-server-")]:
        arms[max(servers, key=lambda arm: ratios[arm][0].value)] = (GREEN, "s")
    groups = [*list(run.arms["plain"]["by_category"])[::-1], "all"]
    _, axes = plt.subplots(figsize=(6.4, 0.9 + 0.42 * len(groups)))
    axes.axvline(1, color=GREY, linewidth=0.8)
    for i, (arm, (colour, marker)) in enumerate(arms.items()):
        shift = (len(arms) / 2 - i - 0.5) * 0.7 / len(arms)
        of = {**ratios[arm][1], "all": ratios[arm][0]}
        at = [(n + shift, of[group]) for n, group in enumerate(groups) if group in of]
        for y, ratio in at:
            if ratio.low is not None and ratio.high is not None:
                axes.plot([ratio.low, ratio.high], [y, y], color=colour, linewidth=1.2)
        axes.plot([r.value for _, r in at], [y for y, _ in at], marker, color=colour, markersize=4.5, label=arm)
    axes.set_yticks(range(len(groups)), [group.replace("_", " ") for group in groups])
    axes.set_title(run.name, size=9)
    return _finished(axes, "speed-up over plain decoding, 95 % interval", "", outside=True)


def _depths(runs: list[Run]) -> Any:
    """Accepted tokens at a depth over forwards, of the first run."""
    _, axes = plt.subplots(figsize=(5.2, 2.6))
    for arm, (colour, marker) in OURS.items():
        sums = runs[0].arms.get(arm, {})
        if depths := (sums.get("accepted_by_depth") or [])[:16]:
            shares = [count / sums["forwards"] for count in depths]
            axes.plot(range(1, len(shares) + 1), shares, color=colour, marker=marker, ms=3, label=arm)
    axes.set_title(runs[0].name, size=9)
    return _finished(axes, "depth in the draft", "accepted per forward")


def _no_help(runs: list[Run]) -> Any:
    """Ratios to plain decoding: texts as bars, one run beside the other."""
    _, axes = plt.subplots(figsize=(5.2, 2.4))
    of = [run for run in runs if run.kind == "adversarial"]
    for i, run in enumerate(of):
        cases = {case: found["speedup"]["total"] for case, found in run.data["cases"].items()}
        places = [n + (i - (len(of) - 1) / 2) * 0.25 for n in range(len(cases))]
        style = {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": "none"}
        axes.plot(places, list(cases.values()), label=run.name.removeprefix("adversarial-"), **style)
        axes.set_xticks(range(len(cases)), cases)
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_ylim(0.9, 1.05)
    return _finished(axes, "", "speed over plain decoding")


def _cost_curves(runs: list[Run]) -> Any:
    """One panel per model."""
    columns = min(len(runs), 3)
    figure, grid = plt.subplots(
        -(-len(runs) // columns), columns, figsize=(2.7 * columns, 2.3 * -(-len(runs) // columns)), squeeze=False
    )
    kinds = {"llama_cpp": ("llama.cpp's kernels", RED, "s"), "row_kernels": ("hd_edge's kernels", BLUE, "o")}
    panels = list(grid.flat)
    for axes, run in zip(panels, runs, strict=False):
        sizes = [n for n in run.data["rows"] if n <= 32]
        for arm, (name, colour, marker) in kinds.items():
            curve = run.data[arm]
            times = [value / curve[0] for value in curve[: len(sizes)]]
            axes.plot(sizes, times, color=colour, marker=marker, ms=3, label=name)
        axes.set_title(model_of(run), size=9)
        axes.set_ylim(bottom=0)
        _finished(axes, "rows n", "T(n) / T(1)" if axes in grid[:, 0] else "", legend=axes is panels[0])
    for axes in panels[len(runs) :]:
        axes.remove()
    figure.tight_layout()
    return figure


def _context_curves(runs: list[Run]) -> Any:
    """Milliseconds of one row and of eight behind a context, one panel per run."""
    columns = min(len(runs), 2)
    lines = -(-len(runs) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(3.6 * columns, 2.5 * lines), squeeze=False)
    kinds = {"llama_cpp": ("llama.cpp", RED), "row_kernels": ("hd_edge", BLUE)}
    panels = list(grid.flat)
    for axes, run in zip(panels, runs, strict=False):
        found = run.data["contexts"]
        lengths = [int(tokens) for tokens in found]
        for arm, (name, colour) in kinds.items():
            for rows, style in ((1, "-"), (8, "--")):
                at = run.data["rows"].index(rows)
                times = [context[arm][at] * 1e3 for context in found.values()]
                axes.plot(lengths, times, style, color=colour, marker="o", ms=3, label=f"{name}, {rows} rows")
        axes.set_title(f"{model_of(run)}, cache {run.data['settings']['kv']}", size=9)
        axes.set_ylim(bottom=0)
        _finished(axes, "tokens of context", "ms" if axes in grid[:, 0] else "", legend=axes is panels[0])
    for axes in panels[len(runs) :]:
        axes.remove()
    figure.tight_layout()
    return figure


def _reliability(runs: list[Run]) -> Any:
    """Predicted against actual acceptance, points as large as the share of nodes."""
    _, axes = plt.subplots(figsize=(3.6, 3.4))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    for i, run in enumerate(runs):
        points = []
        for result in run.data["cost"].values():
            found = result["reliability"]
            total = max(sum(found["nodes"]), 1)
            deciles = zip(found["predicted"], found["actual"], found["nodes"], strict=True)
            points += [(p, a, 8 + 80 * n / total) for p, a, n in deciles if n >= 0.01 * total]
        x, y, sizes = zip(*points, strict=True) if points else ((), (), ())
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i // len(COLOURS) % len(MARKERS)]}
        axes.scatter(x, y, s=sizes, alpha=0.7, linewidths=0, label=run.name.removeprefix("replay-"), **style)
    axes.set_aspect("equal")
    return _finished(axes, "predicted chance of a drafted node", "share that came true", outside=True)


def _warm_up(runs: list[Run]) -> Any:
    """Moving mean of the speed-up over conversations."""
    _, axes = plt.subplots(figsize=(5.2, 2.6))
    of = [run for run in runs if "warm_up" in run.data]
    for i, run in enumerate(of):
        window = run.data["warm_up"].get("window", 20)
        for (name, values), line in zip(run.data["warm_up"]["speedup"].items(), ("-", ":"), strict=False):
            means = [sum(values[max(0, n - window) : n]) / min(n, window) for n in range(1, len(values) + 1)]
            label = f"{run.name.removeprefix('ablations-')}, {name}"
            axes.plot(range(1, len(means) + 1), means, line, color=COLOURS[i], label=label)
    axes.axhline(1, color=GREY, linewidth=0.8)
    return _finished(axes, "conversation", "speed-up, moving mean", outside=True)


def _finished(axes: Any, x: str, y: str, *, legend: bool = True, outside: bool = False) -> Any:
    """Labels, grid and legend; returns the figure."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(linewidth=0.3)
    if legend:
        axes.legend(**({"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if outside else {"fontsize": 7.5}))
    return axes.figure


PLOTS: dict[str, tuple[tuple[str, ...], Callable[[list[Run]], Any]]] = {
    "speed": (("spec-bench", "trace-bench"), _speed),
    "by-text": (("spec-bench", "trace-bench"), _by_text),
    "depths": (("spec-bench", "trace-bench"), _depths),
    "no-help": (("adversarial", "ablations"), _no_help),
    "cost-curves": (("cost-curve",), _cost_curves),
    "context-curves": (("context-curve",), _context_curves),
    "reliability": (("replay",), _reliability),
    "warm-up": (("ablations",), _warm_up),
}
