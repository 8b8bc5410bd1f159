"""``hd-edge bench``: how much faster is drafting, on one's own model, machine and prompts?"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .foreign import one_line
from .options import MODEL, drafter_path, model_path
from .streams import write_figures, wrote
from .values import INT32, LAYERS, PICTURE, POSITIVE, SEED, STORE_FILE, TEXT, THREADS, Figures, Finite

if TYPE_CHECKING:
    from hd_edge.bench.arms import Arms, Tiers
    from hd_edge.bench.turns import Record, Results
    from hd_edge.model.questions import Question

ARM_NAMES = ("plain", "auto", "auto-drafter", "auto-warm", "paper", "llama-cpp", "llama-cpp-pld")
COLOURS = {1: "green", -1: "red"}


@click.command()
@MODEL
@click.option(
    "-p",
    "--prompts",
    type=TEXT,
    help="Lines of text, or JSON lines with 'prompt' or 'turns', perhaps 'category'; default: a built-in set.",
)
@click.option("--count", type=POSITIVE, default=2, show_default=True, help="Most prompts of a category.")
@click.option(
    "-n", "--predict", type=click.IntRange(2, INT32), default=128, show_default=True, help="Tokens per answer."
)
@click.option("-c", "--ctx-size", type=POSITIVE, default=4096, show_default=True)
@click.option("-t", "--threads", type=THREADS, help="Threads; default: physical cores.")
@click.option("-ngl", "--gpu-layers", type=LAYERS, default=0, show_default=True, help="Layers on the GPU; -1: all.")
@click.option("--temp", type=Finite(0, 1000), default=0.0, show_default=True, help="0: greedy.")
@click.option("-s", "--seed", type=SEED, default=0, show_default=True)
@click.option("--arms", default="plain,auto", show_default=True, help=f"Of {', '.join(ARM_NAMES)}.")
@click.option("--store", type=STORE_FILE, help="auto-warm begins with a copy of it; default: the model's.")
@click.option("--statistics", type=STORE_FILE, help="Statistics tier of drafting arms.")
@click.option("--drafter", metavar="MODEL", help="Small GGUF, or 'demo' (extra drafter): adds the arm auto-drafter.")
@click.option("--json", "json_file", type=Figures("bench"), help="Write all figures here; '-': to stdout.")
@click.option(
    "--plot",
    "plot_file",
    type=PICTURE,
    help="Draw the speed-ups (extra bench).",
)
def bench(**options: Any) -> None:
    """Compare drafted with plain decoding, on this machine.

    The ways of decoding (arms) take turns prompt by prompt, with the same threads, flash attention and KV cache.
    Speed-ups are medians over prompts of the time per token, the prompt's forward left out. 'auto' begins with an empty
    store and learns from one answer to the next. Ctrl-C ends early, with what was measured so far.
    """
    from hd_edge.backend.threads import physical_cores
    from hd_edge.bench.arm import Settings
    from hd_edge.bench.arms import Arms
    from hd_edge.bench.plot import check_plot
    from hd_edge.model.questions import per_category, read_questions

    names = _names(options["arms"], "auto-drafter" if options["drafter"] else "")
    if options["plot_file"]:
        check_plot(options["plot_file"])
    questions = per_category(read_questions(options["prompts"]), options["count"])
    settings = Settings(
        max_tokens=options["predict"],
        temperature=options["temp"],
        seed=options["seed"],
        n_ctx=options["ctx_size"],
        n_threads=options["threads"] or physical_cores(),
        n_gpu_layers=options["gpu_layers"],
    )
    path = model_path(options["model"])
    arms = Arms(path, settings, _tiers(names, path, options))
    try:
        results, interrupted = _measure(arms, names, questions)
        _report(arms, results, options, questions, interrupted)
    finally:
        arms.close()
    if interrupted:
        sys.exit(130)


def _names(text: str, more: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        msg = f"--arms: {text!r} names none: give some of {', '.join(ARM_NAMES)}, or leave the option out"
        raise click.BadParameter(msg)
    unknown = [name for name in names if name not in ARM_NAMES]
    if unknown:
        msg = f"--arms: {unknown[0]!r} is not one of {', '.join(ARM_NAMES)}"
        raise click.BadParameter(msg)
    return list(dict.fromkeys(["plain", *names, *more.split()]))


def _tiers(names: list[str], path: str, options: dict[str, Any]) -> Tiers:
    """The store that auto-warm begins with: the one named, or the model's own."""
    from hd_edge.bench.arms import Tiers

    store = options["store"]
    if store is None and "auto-warm" in names:
        from hd_edge.model.vocabulary import identify
        from hd_edge.model.vocabulary_file import vocabulary_of
        from hd_edge.store.safety import default_path

        with vocabulary_of(path) as loaded:
            found = default_path(identify(loaded))
        store = found if found.is_file() else None
    drafter = drafter_path(options["drafter"])
    return Tiers(warm_store=store, statistics=options["statistics"], drafter=drafter)


def _measure(arms: Arms, names: list[str], questions: list[Question]) -> tuple[Results, bool]:
    """Answers everything, or what there is time for until Ctrl-C."""
    from hd_edge.bench.arm import WARM_UP_MESSAGES
    from hd_edge.bench.turns import Results, run

    from .progress import ProgressLine

    line = ProgressLine("bench")
    results = Results()
    begun: list[float] = []

    def tell(done: int, total: int, record: Record | None) -> None:
        begun.append(time.monotonic())
        line.show(done, total, begun[-1] - begun[0], _speeds(record) if record else "")

    turns = sum(len(question.turns) for question in questions)
    line.begin(f"{turns} prompts, each answered by {', '.join(names)}")
    try:
        made = [arms.make(name) for name in names]
        for arm in made:
            arm.warm_up(arms.tokenize(WARM_UP_MESSAGES), arms.settings)
        run(made, questions, arms.settings, arms.tokenize, tell, results=results)
    except KeyboardInterrupt:
        return results, True
    finally:
        line.close()
    return results, False


def _speeds(record: Record) -> str:
    """``plain 131.0 t/s, auto 165.2 t/s``."""
    from hd_edge.bench.summary import decode_time

    times = {name: decode_time(answer) for name, answer in record.answers.items()}
    return ", ".join(f"{name} {1 / seconds:.1f} t/s" for name, seconds in times.items() if seconds)


def _report(
    arms: Arms, results: Results, options: dict[str, Any], questions: list[Question], interrupted: bool
) -> None:
    """Table, sentence and files; says what was left out."""
    from dataclasses import asdict

    from hd_edge.bench.hardware import hardware, model_file
    from hd_edge.bench.plot import plot
    from hd_edge.bench.sentence import sentence
    from hd_edge.bench.summary import summarise
    from hd_edge.bench.table import table, title
    from hd_edge.errors import ContextFullError, printable

    for name, reason in results.skipped.items():
        click.echo(one_line(f"left out: {name}: {reason}"), err=True)
    if not results.records:
        if not interrupted:
            msg = f"none of {len(questions)} prompts fits the context window of {arms.settings.n_ctx} tokens: raise -c"
            raise ContextFullError(msg)
        click.echo("interrupted before the first answer: nothing to show", err=True)
        return
    summary = summarise(
        results,
        hardware=hardware(arms.llm),
        model=model_file(arms.llm),
        settings={**asdict(arms.settings), "prompts": Path(options["prompts"] or "built-in").name},
    )
    if interrupted:
        total = sum(len(question.turns) for question in questions)
        click.echo(f"interrupted: {len(results.records)} of {total} answers", err=True)
    to_stdout = options["json_file"] == "-"
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not to_stdout
    lines = [printable(title(summary)), "", *table(summary, _colour if coloured else None), "", sentence(summary)]
    click.echo("\n".join(lines).rstrip(), err=to_stdout)
    if options["json_file"]:
        write_figures(options["json_file"], "bench", summary)
    if options["plot_file"]:
        plot(summary, options["plot_file"])
        wrote(options["plot_file"])


def _colour(cell: str, verdict: int) -> str:
    return click.style(cell, fg=COLOURS[verdict], bold=True)
