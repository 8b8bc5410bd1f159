"""``hd-edge check``: is drafted text plain text? The proof on one's own model and machine."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from hd_edge.backend.signals import is_ignored

from .options import MODEL, drafter_path, model_path
from .progress import ProgressLine
from .streams import write_figures
from .values import COUNT, LAYERS, POSITIVE, SEEDS, TEXT, THREADS, Figures, Finite

if TYPE_CHECKING:
    from hd_edge.check.modes import CheckSettings


@click.command()
@MODEL
@click.option("-c", "--ctx-size", type=POSITIVE, default=4096, show_default=True)
@click.option("-b", "--batch-size", type=POSITIVE, default=512, show_default=True)
@click.option("-t", "--threads", type=THREADS, help="Threads; default: physical cores.")
@click.option("-ngl", "--gpu-layers", type=LAYERS, default=0, show_default=True, help="Layers on the GPU; -1: all.")
@click.option("-n", "--predict", type=POSITIVE, default=128, show_default=True, help="Tokens per answer.")
@click.option("--prompts", type=TEXT, help="Lines of text, or JSON lines.")
@click.option("--limit", type=POSITIVE, help="Only the first prompts.")
@click.option("--temp", type=Finite(0.01, 1000), default=0.8, show_default=True, help="Of the sampled runs.")
@click.option("--seeds", type=SEEDS, default=5, show_default=True, help="0: greedy only.")
@click.option("--context", type=COUNT, default=0, help="Least tokens of other text before each prompt.")
@click.option(
    "--mode", type=click.Choice(["both", "exact", "default"]), default="both", show_default=True, help="What to check."
)
@click.option("--store", type=TEXT, help="Also draft from this store; only read.")
@click.option("--statistics", type=TEXT, help="Also draft from these statistics.")
@click.option("--drafter", metavar="MODEL", help="Also draft with this small GGUF, or 'demo' (extra drafter).")
@click.option("--json", "json_file", type=Figures("check"), help="Write the figures here; '-': to stdout.")
def check(**options: Any) -> None:
    """Compare drafted answers with plain ones, token by token.

    Drafts come from a cold store in memory and from a noisy replay of the plain answer, so that they are long and often
    wrong. Exit status 1 if anything differs in a mode that promises the same text: exact mode, and default mode where
    hd_edge's kernels compute all that depends on the number of rows.
    """
    from hd_edge.check.modes import CheckSettings
    from hd_edge.model.questions import read_prompts

    prompts = read_prompts(options["prompts"])[: options["limit"]]
    settings = CheckSettings(
        model=model_path(options["model"]),
        n_ctx=options["ctx_size"],
        n_threads=options["threads"],
        n_gpu_layers=options["gpu_layers"],
        n_batch=options["batch_size"],
        tokens=options["predict"],
        temperature=options["temp"],
        seeds=tuple(range(options["seeds"])),
        context_tokens=options["context"],
        store=options["store"],
        statistics=options["statistics"],
        drafter=drafter_path(options["drafter"]),
    )
    if not is_ignored(signal.SIGTERM):  # the process that compares ends too
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    modes = ["exact", "default"] if options["mode"] == "both" else [options["mode"]]
    results = {mode: _run(mode, settings, prompts) for mode in modes}
    to_stdout = options["json_file"] == "-"
    for mode, result in results.items():
        click.echo(_describe(mode, result, settings), err=to_stdout)
    if options["json_file"]:
        write_figures(options["json_file"], "check", _report(settings, len(prompts), results))
    broken = any(result.get("exact") and result["differences"] for result in results.values())
    if broken or (modes == ["exact"] and "unavailable" in results["exact"]):
        sys.exit(1)


def _run(mode: str, settings: CheckSettings, prompts: list[str]) -> dict[str, Any]:
    from hd_edge.check.modes import answers, run_mode

    total = answers(settings, prompts)
    line, done, begun = ProgressLine(f"{mode} mode"), itertools.count(1), time.monotonic()

    def tell() -> None:
        number = next(done)
        line.show(number, total, time.monotonic() - begun, f"{number}/{total} answers")

    line.begin(f"{total} answers, plain and drafted")
    try:
        return run_mode(settings, mode == "exact", prompts, tell)
    finally:
        line.close()


def _describe(mode: str, result: dict[str, Any], settings: CheckSettings) -> str:
    """``exact mode: 100/100 identical (greedy) · 100/100 identical (T=0.8, seeds 0-4)`` and a line per difference."""
    if "unavailable" in result:
        return f"{mode} mode is unavailable: {result['unavailable']}"
    parts = [f"{result['greedy']['identical']}/{result['greedy']['prompts']} identical (greedy)"]
    if settings.seeds:
        seeds = f"seeds {settings.seeds[0]}-{settings.seeds[-1]}" if len(settings.seeds) > 1 else "seed 0"
        sampled = result["sampled"]
        parts.append(f"{sampled['identical']}/{sampled['prompts']} identical (T={settings.temperature:g}, {seeds})")
    promise = " (exact with this file)" if mode == "default" and result["exact"] else ""
    lines = [f"{mode} mode{promise}: " + " · ".join(parts)]
    for found in result["differences"]:
        how = "greedy" if found["seed"] is None else f"seed {found['seed']}"
        lines.append(
            f"  prompt {found['prompt']} ({how}): token {found['index']} is {found['drafted']}, plain decoding draws "
            f"{found['plain']}; logit margin {found['margin']:.4f}"
        )
    return "\n".join(lines)


def _report(settings: CheckSettings, prompts: int, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The top level describes exact mode where it was checked, else default mode, which else stands under its name."""
    from dataclasses import asdict

    from hd_edge import __version__

    first = next((mode for mode, result in results.items() if "unavailable" not in result), "")
    report: dict[str, Any] = {
        "schema": 1,
        "settings": {**asdict(settings), "prompts": prompts, "mode": first, "version": __version__},
        **results.get(first, {"greedy": {}, "sampled": {}, "differences": []}),
    }
    return report | {mode: result for mode, result in results.items() if mode != first}
