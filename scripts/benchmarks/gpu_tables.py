"""Tables and plots of ``gpu_report``: Markdown in which every figure is taken from ``report.json``."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from hd_edge.bench.plot import plot
from hd_edge.bench.table import table

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
    return [
        f"Recorded answers replayed ({len(traces['answers'])}; every forward is real, the chosen token is the recorded "
        "one); speed-up against plain: median of the answers and its 95 % interval:",
        "",
        *table(traces),
        "",
    ]


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
        from matplotlib.figure import Figure
    except ImportError:
        return []
    made = []
    for name, model in report["models"].items():
        if model["cost"]:
            made.append(out / f"{name}-cost.png")
            figure = Figure(figsize=(4.2, 3.4), layout="constrained")
            axes = figure.subplots()
            for curve in model["cost"]["curves"]:
                rows = sorted(int(n) for n in curve["changed"])
                axes.plot(rows, [curve["changed"][str(n)] * 1e3 for n in rows], label=f"context {curve['context']}")
            axes.set(title=name, xlabel="rows of a forward", ylabel="ms", ylim=(0, None))
            axes.legend(fontsize=7)
            figure.savefig(made[-1], dpi=90)
        if model["traces"]:
            made.append(out / f"{name}-speedup.png")
            plot(model["traces"], made[-1])
    return made
