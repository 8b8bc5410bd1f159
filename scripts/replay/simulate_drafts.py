#!/usr/bin/env python3
"""Replays recorded answers through the planner, with no model: what would drafting have brought?

    python scripts/replay/simulate_drafts.py --traces eval.npz --history history.npz --corpus corpus.npz --cost cpu2

Traces are .npz files of token ids (``train_calibration.py record`` writes them) or .jsonl files of ``prompt`` and
``output`` with ``--vocab`` for the tokenizer. One step = one forward over the drafted tree at the cost of the table;
the path that equals the recorded answer is accepted. Prefill, drafting time and sampling are not in the speed-up.
Answers are forgotten one after the other (cold) unless ``--warm``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import fmean

import numpy as np
from replay import Memory, RecordedPlanner, Tally, Trace, load_traces, replay, statistics_tier

from hd_edge.config import MAX_LEAVES, MAX_ROWS, DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.paper import PaperPlanner
from hd_edge.draft.planner import NO_PREDICTION

# T(n)/T(1) of forwards over n rows: measured on two cores (cpu2 is a 7B model in Q4_0, wide_* have 7B width), estimates
# for a laptop of eight cores and for a GPU.
TABLES = {
    "cpu2": {1: 1, 2: 1.59, 3: 2.35, 4: 1.57, 8: 2.81, 12: 4.1, 16: 4.2, 32: 8.3},
    "laptop8": {1: 1, 2: 1.08, 4: 1.2, 8: 1.45, 12: 1.8, 16: 2.2, 32: 4},
    "gpu": {1: 1, 2: 1.02, 4: 1.05, 8: 1.12, 16: 1.25, 32: 1.4, 63: 1.7},
    "smol_q4_0": {1: 1, 2: 1.58, 3: 2.09, 4: 2.05, 8: 2.94, 12: 3.9, 16: 4.3, 32: 8.1},
    "smol_q4_1": {1: 1, 2: 2.11, 4: 2.92, 8: 4.6, 16: 8.3},
    "smol_q8_0": {1: 1, 2: 2.3, 4: 3.2, 8: 3.9, 16: 5.0},
    "wide_q4_k_m": {1: 1, 2: 1.43, 3: 1.85, 4: 2.10, 8: 3.91, 12: 4.70, 16: 4.70, 32: 8.12},
    "wide_q8_0": {1: 1, 2: 1.66, 3: 1.94, 4: 2.35, 8: 2.66, 12: 3.52, 16: 4.39, 32: 7.85},
}


def cost_table(text: str) -> tuple[str, dict[int, float]]:
    """A table by name, ``rows=N`` (always N rows), ``1:1,4:1.6`` or a JSON file of {"rows": cost}."""
    if text in TABLES:
        return text, {int(n): float(c) for n, c in TABLES[text].items()}
    if text.startswith("rows="):
        return text, {int(text[5:]): 1.0}
    if Path(text).is_file():
        given = json.loads(Path(text).read_text(encoding="utf-8"))
        return Path(text).stem, {int(n): float(c) for n, c in given.items()}
    return text, {int(n): float(c) for n, c in (pair.split(":") for pair in text.split(","))}


def make_planner(args: argparse.Namespace, costs: dict[int, float], n_vocab: int, memory, statistics):
    """A planner that reads the tiers' rows in memory only."""
    context = "c" in args.tiers
    config = DraftConfig(profile=args.profile, tiers=("context",) if context else ("model",))
    tiers = [tier for tier in (memory, statistics) if tier is not None]
    if args.profile == "paper":
        return PaperPlanner(config, tiers=tiers)
    calibration = args.calibration.read_bytes() if args.calibration else None
    planner = RecordedPlanner(n_vocab, config, calibration=calibration, cost=CostCurve.of(costs), tiers=tiers)
    planner._drafter.restart_rates()
    return planner


def simulate(args: argparse.Namespace, traces: list[Trace], costs: dict[int, float], n_vocab: int, stat) -> dict:
    """One run over all traces with one table."""
    memory = Memory(load_traces(args.history, args.vocab), n_vocab) if "m" in args.tiers else None
    planner = make_planner(args, costs, n_vocab, memory, stat)
    tally, started = Tally(), time.perf_counter()
    for trace in traces:
        planner.begin(trace.tokens[:0], NO_PREDICTION)
        if args.profile == "auto":
            planner.trace = trace if "r" in args.tiers else None
            if not args.warm:
                planner._drafter.forget_rows()
        replay(planner, trace, costs, tally, (args.rows, args.leaves))
        if args.warm and memory is not None:
            memory.learn(trace)
    seconds = time.perf_counter() - started
    steps = sum(tally.steps.values())
    speedup, accepted = tally.speedup(), tally.mean_accepted()
    return {
        "speedup": round(fmean(speedup.values()), 4),
        "worst_group": round(min(speedup.values()), 4),
        "mean_accepted_tokens": round(fmean(accepted.values()), 4),
        "rows_per_step": round(sum(tally.rows.values()) / steps, 3),
        "steps": steps,
        "seconds": round(seconds, 2),
        "microseconds_per_step": round(1e6 * seconds / steps, 1),
        "by_group": {
            group: {"speedup": round(speedup[group], 4), "mean_accepted_tokens": round(accepted[group], 4)}
            for group in speedup
        },
        "reliability": tally.reliability.to_dict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, required=True, help="answers to decode again")
    parser.add_argument("--history", type=Path, help="answers the model tier knows")
    parser.add_argument("--corpus", type=Path, help="texts the statistics tier knows")
    parser.add_argument("--vocab", type=Path, help="GGUF file with the tokenizer of .jsonl files")
    parser.add_argument("--tiers", default="cms", help="of c(ontext), r(ecycled rows), m(odel), s(tatistics)")
    parser.add_argument("--profile", choices=("auto", "paper"), default="auto")
    parser.add_argument("--cost", action="append", help=cost_table.__doc__ + " May be given again.")
    parser.add_argument("--calibration", type=Path, help="instead of the one that ships with the package")
    parser.add_argument("--skip-third", action="store_true", help="leave out every third answer of a group")
    parser.add_argument("--rows", type=int, default=MAX_ROWS, help="of a draft at most, the root among them")
    parser.add_argument("--leaves", type=int, default=MAX_LEAVES, help="of a draft at most: 1 as on hybrid models")
    parser.add_argument("--warm", action="store_true", help="keep rows, let the model tier learn each answer")
    parser.add_argument("--json", type=Path, help="write the results there")
    args = parser.parse_args()
    for letter, path in (("m", args.history), ("s", args.corpus)):
        if letter in args.tiers and path is None:
            parser.error(f"tier {letter} needs {'--history' if letter == 'm' else '--corpus'}")
    traces = load_traces(args.traces, args.vocab)
    corpus = load_traces(args.corpus, args.vocab) if "s" in args.tiers else []
    n_vocab = 1 + max(int(t.tokens.max()) for t in traces + corpus if len(t.tokens))
    if "r" in args.tiers:
        n_vocab = max(n_vocab, 1 + max(int(np.max(t.top_ids)) for t in traces))
    if "m" in args.tiers:
        n_vocab = max(n_vocab, 1 + max(int(t.tokens.max()) for t in load_traces(args.history, args.vocab)))
    if args.skip_third:
        seen: dict[str, int] = {}
        kept = []
        for trace in traces:
            seen[trace.group] = seen.get(trace.group, -1) + 1
            if seen[trace.group] % 3:
                kept.append(trace)
        traces = kept
    statistics = statistics_tier((t.tokens for t in corpus), n_vocab) if corpus else None
    results = {}
    print("cost          speed-up  worst  tokens/forward  rows/forward  reliability gap   us/step")
    for name, costs in map(cost_table, args.cost or ["cpu2", "laptop8", "gpu"]):
        run = results[name] = simulate(args, traces, costs, n_vocab, statistics)
        print(
            f"{name:13s} {run['speedup']:8.3f} {run['worst_group']:6.3f} {run['mean_accepted_tokens']:15.3f} "
            f"{run['rows_per_step']:13.2f} {run['reliability']['largest_gap']:16.3f} "
            f"{run['microseconds_per_step']:9.1f}",
            flush=True,
        )
    if args.json:
        head = {"schema": 1, "traces": args.traces.name, "answers": len(traces), "tiers": args.tiers}
        settings = {"profile": args.profile, "warm": args.warm, "rows": args.rows, "leaves": args.leaves}
        args.json.write_text(json.dumps({**head, **settings, "cost": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
