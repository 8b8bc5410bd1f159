"""Tables and plots of ``gpu_report``: Markdown in which every figure is taken from ``report.json``."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

SHOWN = (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 32, 48, 63)
STEP = 0.06  # of one row's cost: how much dearer the next row must be to count as a step


def steps(curve: dict[str, float]) -> list[int]:
    """Sizes after which one more row costs clearly more than a row does on the average: the good sizes of a curve."""
    rows = sorted(int(n) for n in curve)
    one, slope = curve[str(rows[0])], (curve[str(rows[-1])] - curve[str(rows[0])]) / max(len(rows) - 1, 1)
    jumps = {n: curve[str(after)] - curve[str(n)] for n, after in pairwise(rows) if after == n + 1}
    return [n for n, jump in jumps.items() if jump > max(3 * slope, STEP * one)]


def write(report: dict[str, Any], out: Path) -> None:
    """Writes ``report.md`` and, where matplotlib is installed, the plots that it shows."""
    plots = draw(report, out)
    where = report["hardware"].get("gpu") or report["hardware"].get("processor", "")
    lines = [f"## {where}", "", *_machine(report), ""]
    for name, model in report["models"].items():
        lines += [f"### {name}, random weights, {model['bytes'] / 1e9:.2f} GB", ""]
        if model["cost"]:
            lines += _cost(model["cost"])
        if model["traces"]:
            lines += _traces(model["traces"])
        if model["check"]:
            lines += _check(model["check"])
    lines += [f"![{path.stem}]({path.name})" for path in plots]
    for name, reason in report["failed"].items():
        lines += ["", f"**{name} failed**: {reason.splitlines()[-1]}"]
    (out / "report.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _machine(report: dict[str, Any]) -> list[str]:
    machine = report["hardware"]
    names = ("processor", "cores", "system", "llama_cpp_python", "hd_edge", "commit")
    said = ", ".join(f"{name.replace('_', ' ')} {machine[name]}" for name in names if machine.get(name))
    seconds = ", ".join(f"{name} {value:.0f} s" for name, value in report["seconds"].items())
    return [f"{said}.", "", f"Time: {seconds}."]


def _cost(cost: dict[str, Any]) -> list[str]:
    """T(n)/T(1) with changing sizes, as drafting meets them, against one row after one row, as plain decoding does."""
    shown = [n for n in SHOWN if str(n) in cost["curves"][0]["changed"]]
    lines = [
        "T(n)/T(1), sizes changing from forward to forward; T(1) is one row after one row:",
        "",
        "| context | T(1) ms | " + " | ".join(map(str, shown)) + " | steps after |",
        "|---|---|" + "---|" * (len(shown) + 1),
    ]
    for curve in cost["curves"]:
        one = curve["repeated"]["1"]
        cells = " | ".join(f"{curve['changed'][str(n)] / one:.2f}" for n in shown)
        after = ", ".join(map(str, steps(curve["repeated"]))) or "none"
        lines.append(f"| {curve['context']} | {one * 1e3:.2f} | {cells} | {after} |")
    host = cost["host"]
    lines += [
        "",
        f"Host work per row: greedy choice {host['argmax_seconds_per_row'] * 1e6:.1f} us, likeliest tokens "
        f"{host['recycle_seconds_per_row'] * 1e6:.1f} us; logits {host['logits_bytes_per_row'] / 1e3:.0f} kB.",
        "",
    ]
    return lines


def _traces(traces: dict[str, Any]) -> list[str]:
    lines = [
        f"Recorded answers replayed ({len(traces['answers'])}; every forward is real, the chosen token is the recorded "
        "one); speed-up against plain: median of the answers, its 95 % interval, and all time by all time:",
        "",
        "| arm | tokens/s | speed-up | interval | total | tokens/forward | rows/forward |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm, row in traces["arms"].items():
        ratio = traces["speedup"][arm]["overall"]
        lines.append(
            f"| {arm} | {row['tokens_per_second']:.1f} | {ratio['median']:.2f} | {ratio['low']:.2f}-{ratio['high']:.2f}"
            f" | {ratio['total']:.2f} | {row['mean_accepted_tokens']:.2f} | {row['rows_per_forward']:.2f} |"
        )
    return [*lines, ""]


def _check(check: dict[str, Any]) -> list[str]:
    greedy = check["greedy"]
    margins = sorted(found["margin"] for found in check["differences"])
    largest = f"; logit margins where they part {margins[0]:.4f} to {margins[-1]:.4f}" if margins else ""
    return [
        f"Default mode, drafts of a noisy replay: {greedy['identical']} of {greedy['prompts']} greedy answers identical"
        f" ({greedy['tokens']} tokens){largest}. Random weights make near-ties commoner than trained ones.",
        "",
    ]


def draw(report: dict[str, Any], out: Path) -> list[Path]:
    """The cost curves and the speed-ups as PNG files; none without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    costs = {name: model["cost"] for name, model in report["models"].items() if model["cost"]}
    traces = {name: model["traces"] for name, model in report["models"].items() if model["traces"]}
    made = []
    if costs:
        figure, axes = plt.subplots(1, len(costs), figsize=(4.2 * len(costs), 3.4), squeeze=False, layout="constrained")
        for axis, (name, cost) in zip(axes[0], costs.items(), strict=True):
            for curve in cost["curves"]:
                rows = sorted(int(n) for n in curve["changed"])
                axis.plot(rows, [curve["changed"][str(n)] * 1e3 for n in rows], label=f"context {curve['context']}")
            axis.set(title=name, xlabel="rows of a forward", ylabel="ms", ylim=(0, None))
            axis.legend(fontsize=7)
        made.append(_save(figure, out / "cost.png"))
    if traces:
        figure, axes = plt.subplots(
            1, len(traces), figsize=(4.2 * len(traces), 3.4), squeeze=False, layout="constrained"
        )
        for axis, (name, found) in zip(axes[0], traces.items(), strict=True):
            arms = list(found["arms"])
            ratios = [found["speedup"][arm]["overall"] for arm in arms]
            middle = [ratio["median"] for ratio in ratios]
            error = [
                [max(ratio["median"] - ratio["low"], 0) for ratio in ratios],
                [max(ratio["high"] - ratio["median"], 0) for ratio in ratios],
            ]
            axis.barh(arms[::-1], middle[::-1], xerr=[side[::-1] for side in error])
            axis.axvline(1.0, color="black", linewidth=0.8)
            axis.set(title=name, xlabel="speed-up against plain decoding")
        made.append(_save(figure, out / "speedup.png"))
    plt.close("all")
    return made


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=90)
    return path
