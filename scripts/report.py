#!/usr/bin/env python3
"""Makes docs/benchmarks.md from the JSON files in docs/benchmarks/: tables, plots, and what is bad.

    report.py                              writes the page and its plots anew
    report.py --add spec-bench-q4_0.json   takes a script's output into docs/benchmarks/ first, without its texts
    report.py --readme                     also renews the table in README.md, between <!-- benchmarks --> marks

Every number on the page and in that table comes from the files; no other place holds one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from report_data import KINDS, LEAST, Run, add, load, speedups
from report_goals import DRAFTED, goals, losses, slow_tables
from report_readme import replace_block
from report_tables import (
    ablations_section,
    adversarial_section,
    arms_section,
    context_section,
    cost_section,
    edit_section,
    overhead_section,
    picture,
    reliability_section,
    table,
    tiers_section,
)

ROOT = Path(__file__).resolve().parent.parent
TITLES = {
    "spec-bench": "Questions of Spec-Bench",
    "trace-bench": "Recorded answers at the cost of larger models",
    "adversarial": "Where drafting cannot help",
    "cost-curve": "What a row costs",
    "context-curve": "What a context costs",
    "replay": "Are the planner's chances right?",
    "ablations": "One thing changed at a time",
    "edit-bench": "Editing",
    "overhead": "Overhead",
}
ABOUT = {
    "spec-bench": "All arms answer each question, in turns. A ratio is the time per token of `plain` over the "
    "arm's, for the same turn of the same question; told are their median and all time by all time, "
    "with bootstrap intervals of 95 %, and medians by group. `plain` is hd_edge without drafts. The "
    "arms of llama-cpp-python and llama-server compute with llama.cpp's kernels, `plain` with "
    "hd_edge's where the settings say so: the last columns set each arm against its own program "
    "without drafts, in speed and in text.",
    "trace-bench": "Real: every forward (random weights of the named shape), draft tree, KV cache, sampler, planner, "
    "tiers. Replayed: the token that the target chooses, which is the recorded one. Rows "
    "recycled from the target are noise here: a real model drafts a little better. All arms share weights and kernels.",
    "adversarial": "Random tokens, text without a repeated token, and what the model says at temperature 1 with a "
    "model tier full of another model's answers or of random tokens; tokens forced, arms in turns.",
    "context-curve": "Milliseconds of a forward over n rows behind a context, llama.cpp / ours, medians of turns. The "
    "roofline of one row: bytes of weights and cache over the memory's speed, measured between the turns.",
    "cost-curve": "Seconds of a forward over n rows, llama.cpp's kernels and ours in turns in one process pair: "
    "medians.",
    "replay": "Recorded answers are decoded again without a model, at the costs of a table: the chance of a "
    "drafted node as the planner saw it, against how often it came true, by decile. Deciles with less "
    "than 1 % of the nodes do not count. Costs: cpu2 is a 7B model on two cores with llama.cpp's "
    "kernels, laptop8 and gpu are estimates of flatter curves.",
    "ablations": "Replays of recorded answers unless a table says otherwise: speed-up at a table's costs, in brackets "
    "the tokens per forward.",
    "edit-bench": "Documents with one sentence to change; the document stands in the prompt, for `prediction` it is "
    "given as text that the answer is expected to repeat.",
    "overhead": "What hd_edge costs beside the forwards.",
}
AGAIN = """## Measure it again

```
python scripts/build_llama_server.py build/llama-server
python scripts/spec_bench.py -m MODEL.gguf question.jsonl --server-binary build/llama-server/build/bin/llama-server \\
    --arms plain llama-cpp llama-cpp-pld paper auto llama-server-plain llama-server-ngram-mod --json spec-bench-X.json
python scripts/trace_bench.py -m 7B.gguf --traces vicuna-7b-v1.3.eval.jsonl --json trace-bench-X.json
python scripts/adversarial_bench.py -m MODEL.gguf --foreign other-model.jsonl --json adversarial-X.json
python scripts/cost_curve.py -m MODEL.gguf --json cost-curve-X.json
python scripts/cost_curve.py -m MODEL.gguf --context 64 1024 3500 8000 --rows 1 2 4 8 16 --json context-curve-X.json
python scripts/simulate_drafts.py --traces eval.npz --history history.npz --tiers crm --json replay-X.json
python scripts/ablations.py replay --traces eval.npz --history history.npz --corpus corpus.npz --json ablations-X.json
python scripts/ablations.py temperatures -m MODEL.gguf --json ablations-temperature-X.json
python scripts/edit_bench.py -m MODEL.gguf --forced --json edit-bench.json
python scripts/overhead.py -m MODEL.gguf --json overhead.json
python scripts/report.py --readme --add *.json
```

Spec-Bench's questions and the recorded answers are not part of this repository; without a file `spec_bench.py` asks
questions of our own."""
TOGETHER: dict[str, Callable[[list[Run]], str]] = {"cost-curve": cost_section, "replay": reliability_section}
ALONE: dict[str, Callable[[Run], str]] = {
    "spec-bench": arms_section,
    "trace-bench": arms_section,
    "adversarial": adversarial_section,
    "ablations": ablations_section,
    "context-curve": context_section,
    "edit-bench": edit_section,
    "overhead": overhead_section,
}


def page(runs: list[Run]) -> str:
    """The whole page."""
    used = {script: None for kind, script in KINDS.items() if any(run.kind == kind for run in runs)}
    scripts = ", ".join(f"`{script}`" for script in used)
    parts = [
        "# Benchmarks",
        f"Made by `python scripts/report.py` from the files in [benchmarks](benchmarks), which {scripts} wrote; no "
        f"number is typed by hand. `↓` marks a loss: below {LEAST} of plain decoding.",
        "## Goals, met and missed",
        _goals(runs),
        "## What is bad",
        _bad(runs),
    ]
    for kind, title in TITLES.items():
        found = [run for run in runs if run.kind == kind]
        if not found:
            continue
        parts += [f"## {title}", ABOUT[kind]]
        if kind in TOGETHER:
            parts.append(TOGETHER[kind](found))
        for run in found if kind in ALONE else ():
            parts += [f"### {run.name}", ALONE[kind](run)]
        if kind == "spec-bench":
            parts += ["### Where accepted tokens came from", *(f"{run.name}:\n\n{tiers_section(run)}" for run in found)]
            if any(sums.get("accepted_by_depth") for run in found for sums in run.arms.values()):
                parts.append(picture("acceptance-by-depth", "Accepted tokens per forward by depth"))
    return "\n\n".join([*parts, AGAIN]) + "\n"


def _goals(runs: list[Run]) -> str:
    rows = [[goal.run, goal.wanted, goal.measured, "met" if goal.met else "**missed**"] for goal in goals(runs)]
    return (
        table(["measurement", "goal", "measured", ""], rows, words=4) if rows else "No measurement speaks about a goal."
    )


def _bad(runs: list[Run]) -> str:
    """Every loss by arm and group, texts that differ, and how many goals were missed."""
    all_goals = goals(runs)
    lines = [f"{sum(not goal.met for goal in all_goals)} of {len(all_goals)} goals are missed (table above)."]
    for run in runs:
        slow = losses(run)
        for arm in filter(slow.__contains__, DRAFTED):
            told = ", ".join(f"{group.replace('_', ' ')} {value:.2f}" for group, value in slow[arm])
            lines.append(f"{run.name}: `{arm}` is below {LEAST} of `plain`: {told}.")
        peers = [f"`{arm}` {speedups(run, arm)[0].value:.2f}" for arm in slow if arm not in DRAFTED]
        if peers:
            told = ", ".join(peers)
            lines.append(f"{run.name}: peers below {LEAST} of `plain` overall or in a group; overall they are: {told}.")
        for arm, same in run.data.get("identical", {}).items():
            if arm in DRAFTED and same["identical"] < same["prompts"]:
                count = same["prompts"] - same["identical"]
                lines.append(f"{run.name}: {count} of {same['prompts']} texts of `{arm}` differ from plain decoding's.")
        lines += [
            f"{run.name}: {what} is below {LEAST} of plain decoding: {value:.2f}." for what, value in slow_tables(run)
        ]
    return "\n".join(f"- {line}" for line in lines)


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
    (args.docs / "benchmarks.md").write_text(page(runs), encoding="utf-8")
    if args.readme:
        args.readme.write_text(replace_block(args.readme.read_text(encoding="utf-8"), runs), encoding="utf-8")
    from report_plots import draw  # matplotlib is an extra: the tables do without it

    for old in folder.glob("*.svg"):
        old.unlink()
    for file in draw(runs, folder):
        print(file, file=sys.stderr)


if __name__ == "__main__":
    main()
