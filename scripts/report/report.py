#!/usr/bin/env python3
"""Makes docs/benchmarks.md from the JSON files in docs/benchmarks/: the answer, a plot per question, what is bad.

    report.py                              writes the page and its plots anew
    report.py --add spec-bench-q4_0.json   takes a script's output into docs/benchmarks/ first, without its texts
    report.py --readme                     also renews the table in README.md, between <!-- benchmarks --> marks

Every number on the page and in that table comes from the files; no other place holds one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import report_again as again
import report_serving as serving
import report_tables as tables
from report_data import KINDS, LEAST, Run, add, load
from report_goals import goals, goals_table, promises
from report_headline import block, replace_block

ROOT = Path(__file__).resolve().parents[2]
ARMS = ("spec-bench", "trace-bench")
# Question, kinds of runs that answer it, what they are, the plot's name, the table.
QUESTIONS: tuple[tuple[str, tuple[str, ...], str, str, Callable[[list[Run]], str]], ...] = (
    (
        "What does drafting bring, by kind of text?",
        ARMS,
        """Speed-up over `plain`, which is hd_edge without drafts: the time per token of `plain` over the arm's, for the
same answer; medians with bootstrap intervals of 95 %. `auto` begins with an empty store, `auto-warm` with what the
model said to other prompts. All arms answer each question, in turns. Runs named trace-bench decode recorded answers on
random weights of the named shape: every forward is real, the chosen token is the recorded one. Runs named llama-kernels
use llama.cpp's kernels in all arms. The run named long asks for quotes from documents of 3,000 tokens (pages of this
repository), every prompt read anew by every arm. SmolLM2 answers all of them with a phrase that it repeats to the end,
which helps drafts: the column `llama-cpp` tells what hd_edge gains without any.""",
        "by-text",
        tables.speeds,
    ),
    (
        "Where does a request's time go?",
        ("spec-bench",),
        """Prompts and decoding told apart, all questions together: means, so long requests weigh more than in the
medians above. Every arm reads every prompt anew.""",
        "",
        tables.requests,
    ),
    (
        "Where do the tokens come from?",
        ARMS,
        "Accepted tokens per forward by depth in the draft, and by the tier that proposed them.",
        "depths",
        tables.sources,
    ),
    (
        "What does a small model bring that drafts, too?",
        ("trace-bench",),
        """Recorded chat answers of Vicuna and Llama-2 on random weights of their shapes, SmolLM2-135M as the drafter;
`auto-drafter` begins with an empty store, `auto-warm-drafter` with what the model said to other prompts;
in a run named `practised` it has decoded ten of those itself, so it knows costs and chances, as a used store does.""",
        "",
        tables.drafters,
    ),
    (
        "What does it cost where it cannot help?",
        ("adversarial", "ablations"),
        """Random tokens, text without a repeated token, and answers at temperature 1 with a model tier full of another
model's answers or of random tokens (tokens forced, all time by all time). Below them answers at several temperatures,
timed on the model.""",
        "no-help",
        tables.no_help,
    ),
    (
        "What does a row cost?",
        ("cost-curve",),
        "Seconds of a forward over n rows, T(n), llama.cpp's kernels and ours in turns: medians.",
        "cost-curves",
        tables.costs,
    ),
    (
        "What does a context cost?",
        ("context-curve",),
        """Seconds of a forward over n rows behind L tokens, T(n, L), and of the prompt of L tokens: llama.cpp's
kernels and attention, and ours, in turns; medians. The roofline is the bytes of weights and cache over the memory's
speed, measured between the turns.""",
        "context-curves",
        tables.contexts,
    ),
    (
        "Are the planner's chances right?",
        ("replay",),
        """Recorded answers are decoded again without a model, at the costs of a table: the chance of a drafted node as
the planner saw it, against how often it came true, by decile of at least 1 % of the nodes.""",
        "reliability",
        tables.chances,
    ),
    (
        "What does each tier bring, and the planner?",
        ("ablations",),
        """Replays of recorded answers at the costs of a table: speed-up, in brackets tokens per forward. cpu2 is a 7B
model on two cores with llama.cpp's kernels, laptop8 and gpu are estimates of flatter curves. The plot shows a store
that is empty at first and learns each answer, beside one that never learns.""",
        "warm-up",
        tables.tiers,
    ),
    (
        "What does a tool loop cost?",
        ("tool-loop",),
        """Conversations of a coding agent over HTTP, whole requests, round by round: every call is forced, by a JSON
schema in which all servers read the same text or by `tool_choice`; what the tools answer is scripted. Servers run with
their defaults, ours with nothing learned. Medians and ranges of the rounds. A sound call has the form that was asked
for.""",
        "",
        serving.tool_loops,
    ),
    (
        "How many clients at a time?",
        ("company",),
        "Clients that stream one answer after the other from one server: output tokens per second of all together.",
        "",
        serving.crowds,
    ),
    (
        "What if other programs work?",
        ("busy",),
        "Tokens per second while decoding beside so many busy programs, by program and number of threads.",
        "",
        serving.others_at_work,
    ),
    (
        "What is known after a restart?",
        ("prefix",),
        """Time to the first token behind a prefix: computed, from memory, from disk, by a new process, and after the
system has forgotten the files' pages.""",
        "",
        serving.restarts,
    ),
    ("What else?", ("edit-bench", "overhead"), "Editing, and the cost beside the forwards.", "", tables.beside),
)
OTHERS = """## Do other runs say the same?

Ratios of the headline arms against those of other runs, each at another commit, in another hour, on another
virtual machine of the same kind.
The intervals elsewhere on this page tell how questions and rounds differ within one run. Here `other runs` has the
ratios of the others and in brackets what their intervals span. Decoding and whole requests stand over `plain`. Of {all}
ratios {within} lie within that span; between two runs a ratio moves by {middle:.1%} in the median, one in twenty by
{far:.0%} or more. The others: {runs}; this page: {now}.

All runs together:

{spans}

How much our kernels and drafts bring depends on how fast the cores compute beside their memory, and a virtual machine
shares them with others: where a token of a prompt takes twice as long, so do the rows of a draft, while reading the
weights takes what it took."""
NOT_MEASURED = """## What is not measured

Energy: the machine has no counter that tells it. ik_llama.cpp: no published package of it was found that reads the same
file. Consumer GPUs, Apple's and ARM processors. A 7B or 13B with trained weights: recorded answers of real ones are
decoded on random weights of their shape, whose forwards cost the same."""
AGAIN = """## Measure it again

Every file above was written by `--json` of a script: {scripts}; `--help` says what each needs.
`scripts/benchmarks/build_llama_server.py` makes the peer, and `python scripts/report/report.py --readme --add FILE...`
this page. `scripts/benchmarks/headline.py` runs what it promises in one command, within a given time. Spec-Bench's
questions and the recorded answers are not part of this repository; without a file `spec_bench.py` asks questions of our
own. `scripts/benchmarks/long_questions.py` writes those about long documents."""


def kept(folder: Path) -> list[again.Told]:
    """Other runs of the headline arms, as ``report_again.py --keep`` wrote them."""
    return sorted(map(again.Told.read, sorted(folder.glob("*.json"))), key=lambda told: told.date)


def dated(told: again.Told) -> str:
    """A run by its commit, and how fast its machine computed."""
    return f"{told.commit} ({told.date}{f', {told.prompt_ms} ms per token of a 7B prompt' if told.prompt_ms else ''})"


def others(kept: Sequence[again.Told], runs: list[Run]) -> list[str]:
    """The part of the page that holds this run against others."""
    *before, now = together = again.together(runs, kept)
    if not (found := again.rows(before, now)):
        return []
    moves = again.moves(together)
    told = OTHERS.format(
        all=len(found),
        within=sum(row[-1] == "within" for row in found),
        middle=moves[len(moves) // 2],
        far=moves[int(0.95 * len(moves))],
        runs="; ".join(map(dated, before)),
        now=dated(now),
        spans="\n".join(f"- {what}: {low:.2f} to {high:.2f}" for what, (low, high) in again.spans(together).items()),
    )
    return [told, again.table(again.HEAD, found, words=2)]


def page(runs: list[Run], before: Sequence[again.Told] = ()) -> str:
    """The whole page, of these files and what other runs told."""
    all_goals = goals(runs)
    missed = [f"- {goal.run}: {goal.wanted}. Measured: **{goal.measured}**." for goal in all_goals if not goal.met]
    parts = [
        "# Benchmarks",
        "Tokens per second while decoding, arms in turns on one machine; more is better.",
        block(runs),
        "![Tokens per second of llama_cpp.Llama, the best peer and hd_edge](benchmarks/speed.svg)",
        f"Every number on this page comes from the files at its end; `↓` marks a loss, below {LEAST} of plain. "
        f"{len(all_goals) - len(missed)} of {len(all_goals)} goals are met, [the others are listed](#what-is-bad).",
    ]
    if promised := promises(all_goals):
        parts += ["## What is promised", goals_table(promised)]
    for title, kinds, about, plot, tell in QUESTIONS:
        if found := [run for run in runs if run.kind in kinds]:
            picture = [f"![{title}](benchmarks/{plot}.svg)"] if plot else []
            parts += [f"## {title}", about, *picture, tell(found)]
    parts += others(before, runs)
    parts += ["## What is bad", "Goals that are missed:", "\n".join(missed) or "None.", NOT_MEASURED]
    parts += ["## The files", "\n".join(filter(None, map(tables.conditions, runs)))]
    scripts = ", ".join(f"`{script}`" for kind, script in KINDS.items() if any(run.kind == kind for run in runs))
    return "\n\n".join([*parts, AGAIN.format(scripts=scripts)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the page")
    parser.add_argument("--add", type=Path, nargs="+", default=[], metavar="FILE", help="outputs to take in first")
    parser.add_argument("--readme", type=Path, nargs="?", const=ROOT / "README.md", help="README whose table to renew")
    args = parser.parse_args()
    folder = args.docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for file in args.add:
        print(add(file, folder), file=sys.stderr)
    runs = load(folder)
    (args.docs / "benchmarks.md").write_text(page(runs, kept(folder / "again")), encoding="utf-8")
    if args.readme:
        readme = replace_block(args.readme.read_text(encoding="utf-8"), runs, kept(folder / "again"))
        args.readme.write_text(readme, encoding="utf-8")
    from report_plots import draw  # matplotlib is an extra: the tables do without it

    for old in folder.glob("*.svg"):
        old.unlink()
    for file in draw(runs, folder):
        print(file, file=sys.stderr)


if __name__ == "__main__":
    main()
