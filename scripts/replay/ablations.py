#!/usr/bin/env python3
"""Changes one thing at a time: tiers and their order, drafts and their length, size of the stores, use, temperature.

    ablations.py replay --traces eval.npz --history history.npz --corpus corpus.npz --json ablations-smollm2.json
    ablations.py temperatures -m model.gguf --questions question.jsonl --json ablations-temperature.json

``replay`` decodes recorded answers again without a model (see simulate_drafts.py): speed-up is tokens per cost of a
table. The warm-up curve is that of a store that is empty at first and learns each answer, beside one that never learns.
``temperatures`` lets the real model answer, plainly and drafted in turns, and times it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from replay import Memory, RecordedPlanner, Tally, Trace, load_traces, replay, statistics_tier
from simulate_drafts import cost_table

import hd_edge
from hd_edge.bench.hardware import commit, processor
from hd_edge.config import MAX_ROWS, DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.paper import PaperPlanner
from hd_edge.draft.planner import NO_PREDICTION

NAMES = {"c": "context", "r": "recycled rows", "m": "model", "s": "statistics"}
PUBLISHED = (7, 4)
DRAFTS = ((1, 4), (3, 4), PUBLISHED, (15, 4), (7, 2), (7, 8))
HISTORIES = (0, 25, 50, 100, 200, 400)  # answers in the model tier
CORPORA = (0, 100, 1000, 4000, 16000)  # texts in the statistics tier
WARM_UP, WINDOW = 200, 40  # conversations; of the moving mean
WAYS = ("speedup", "worst_group", "mean_accepted_tokens", "rows_per_step")


@dataclass
class Replays:
    """What replays need: answers, what the tiers know, cost tables."""

    traces: list[Trace]
    history: list[Trace]
    corpus: list[np.ndarray]
    costs: dict[str, dict[int, float]]
    n_vocab: int

    def __post_init__(self) -> None:
        self.memory = Memory(self.history, self.n_vocab)
        self.statistics = statistics_tier(self.corpus, self.n_vocab)

    def auto(self, tiers: str, costs: dict[int, float], memory: Any = None, statistics: Any = None) -> RecordedPlanner:
        """hd_edge's planner with these tiers; the stores given instead of the whole ones."""
        config = DraftConfig(tiers=("context",) if "c" in tiers else ("model",))
        stores = {"m": memory or self.memory, "s": statistics or self.statistics}
        used = [store for tier, store in stores.items() if tier in tiers]
        return RecordedPlanner(self.n_vocab, config, cost=CostCurve.of(costs), tiers=used)

    def paper(self, drafts: int, length: int, order: str) -> PaperPlanner:
        """The published configuration with other numbers or another order."""
        names, tiers = [NAMES[tier] for tier in order], [self.memory, self.statistics]
        return PaperPlanner(DraftConfig("paper"), tiers=tiers, drafts=drafts, length=length, order=names)

    def row(self, name: str, make: Callable[[dict[int, float]], Any], recycle: bool = False) -> dict[str, Any]:
        """One line of a table: all answers, at every cost table."""
        row: dict[str, Any] = {"name": name, "cost": {}}
        for table, costs in self.costs.items():
            planner, tally = make(costs), Tally()
            for trace in self.traces:
                _begin(planner, trace, recycle)
                replay(planner, trace, beyond(costs), tally)
            told = (
                fmean(tally.speedup().values()),
                min(tally.speedup().values()),
                fmean(tally.mean_accepted().values()),
                sum(tally.rows.values()) / sum(tally.steps.values()),
            )
            row["cost"][table] = {way: round(value, 4) for way, value in zip(WAYS, told, strict=True)}
        print(name, {table: found["speedup"] for table, found in row["cost"].items()}, file=sys.stderr)
        return row


def _begin(planner: Any, trace: Trace, recycle: bool) -> None:
    """A conversation of its own: nothing is left of the one before."""
    planner.begin(trace.tokens[:0], NO_PREDICTION)
    if isinstance(planner, RecordedPlanner):
        planner.trace = trace if recycle else None
        planner._drafter.forget_rows()


def beyond(costs: dict[int, float]) -> dict[int, float]:
    """A table with the sizes behind its end, at the cost per row it ends with."""
    last = max(costs)
    return {**{n: costs[last] * n / last for n in range(last + 1, MAX_ROWS + 1)}, **costs}


def tiers(found: Replays) -> list[dict[str, Any]]:
    """Tiers in use, planner on."""
    rows = found.traces[0].top_ids is not None
    sets = ["c", "m", "s", "cm", "cs", "ms", "cms", *(["cr", "crms"] if rows else [])]
    return [
        found.row(
            " + ".join(NAMES[t] for t in names), lambda costs, names=names: found.auto(names, costs), "r" in names
        )
        for names in sets
    ]


def orders(found: Replays) -> list[dict[str, Any]]:
    """The order in which the published configuration fills its seven drafts."""
    return [
        found.row(", ".join(NAMES[t] for t in order), lambda _, order=order: found.paper(*PUBLISHED, order))
        for order in ("cms", "csm", "mcs", "msc", "scm", "smc")
    ]


def drafts(found: Replays) -> list[dict[str, Any]]:
    """Number and length of drafts without a planner; with one."""
    rows = [found.row(f"{n} of {k}", lambda _, n=n, k=k: found.paper(n, k, "cms")) for n, k in DRAFTS]
    return [*rows, found.row("planner", lambda costs: found.auto("cms", costs))]


def histories(found: Replays) -> list[dict[str, Any]]:
    """Answers in the model tier, context and model in use."""
    sizes = sorted({min(n, len(found.history)) for n in HISTORIES})
    memories = {n: Memory(found.history[:n], found.n_vocab) for n in sizes}
    return [found.row(f"{n} answers", lambda costs, n=n: found.auto("cm", costs, memories[n])) for n in sizes]


def corpora(found: Replays) -> list[dict[str, Any]]:
    """Texts in the statistics tier, evenly spread over the corpus; context and statistics in use."""
    sizes = sorted({min(n, len(found.corpus)) for n in CORPORA})
    rows = []
    for n in sizes:
        texts = [found.corpus[i * len(found.corpus) // n] for i in range(n)]
        tier = statistics_tier(texts, found.n_vocab)
        rows.append(found.row(f"{n} texts", lambda costs, tier=tier: found.auto("cs", costs, None, tier)))
    return rows


def warm_up(found: Replays, table: str) -> dict[str, Any]:
    """Speed-up of each conversation, in a mixed order: a store that learns from empty, one that never learns."""
    costs, order = found.costs[table], np.random.default_rng(0).permutation(len(found.traces))[:WARM_UP]
    curves: dict[str, list[float]] = {}
    for name in ("learning from empty", "never learning"):
        memory = Memory([], found.n_vocab)
        planner = found.auto("cm", costs, memory)
        curves[name] = []
        for index in order:
            trace, tally = found.traces[index], Tally()
            _begin(planner, trace, recycle=False)
            replay(planner, trace, costs, tally)
            curves[name].append(round(*tally.speedup().values(), 4))
            if name.startswith("learning"):
                memory.learn(trace)
    return {"cost": table, "window": WINDOW, "speedup": curves}


def run_replays(args: argparse.Namespace) -> dict[str, Any]:
    traces, history, corpus = (load_traces(path, args.vocab) for path in (args.traces, args.history, args.corpus))
    everything: Iterable[Trace] = (*traces, *history, *corpus)
    n_vocab = 1 + max(int(t.tokens.max()) for t in everything if len(t.tokens))
    if traces[0].top_ids is not None:
        n_vocab = max(n_vocab, 1 + max(int(np.max(t.top_ids)) for t in traces))
    costs = dict(map(cost_table, args.cost or ["cpu2", "laptop8", "gpu"]))
    found = Replays(traces, history, [t.tokens for t in corpus], costs, n_vocab)
    files = {"traces": args.traces.name, "history": args.history.name, "corpus": args.corpus.name}
    return {
        "settings": {**files, "answers": len(traces)},
        "tables": {
            "tiers": tiers(found),
            "drafts without a planner, in this order": orders(found),
            "drafts without a planner, number and length": drafts(found),
            "answers in the model tier": histories(found),
            "texts in the statistics tier": corpora(found),
        },
        "warm_up": warm_up(found, "laptop8" if "laptop8" in costs else next(iter(costs))),
    }


def run_temperatures(args: argparse.Namespace) -> dict[str, Any]:
    from hd_edge.bench.arm import WARM_UP_MESSAGES, Settings
    from hd_edge.bench.arms import Arms
    from hd_edge.bench.summary import summarise
    from hd_edge.bench.turns import run
    from hd_edge.model.questions import read_questions, spread

    questions, rows = spread(read_questions(args.questions), args.count), []
    common = Settings(max_tokens=args.predict, n_threads=args.threads, n_ctx=args.ctx_size)
    for temperature in args.temperatures:
        settings = Settings(**{**asdict(common), "temperature": temperature})
        arms = Arms(str(args.model), settings)
        made = [arms.make("plain"), arms.make("auto")]
        for arm in made:
            arm.warm_up(arms.tokenize(WARM_UP_MESSAGES), settings)
        result = summarise(run(made, questions, settings, arms.tokenize))
        arms.close()
        sums, ratio = result["arms"]["auto"], result["speedup"]["auto"]
        told = (
            ratio["overall"]["median"],
            min(group["median"] for group in ratio["by_category"].values() if group),
            sums["mean_accepted_tokens"],
            sums["rows_per_forward"],
        )
        measured = {way: round(value, 4) for way, value in zip(WAYS, told, strict=True)}
        rows.append(
            {"name": f"{temperature:g}", "cost": {"measured": measured}, "identical": result["identical"]["auto"]}
        )
        print(temperature, measured, file=sys.stderr)
    settings = {"model": args.model.name, "questions": len(questions), **asdict(common)}
    return {"settings": settings, "tables": {"temperature (the real model, timed)": rows}}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("replay", help="without a model")
    one.add_argument("--traces", type=Path, required=True, help="answers to decode again, as for simulate_drafts.py")
    one.add_argument("--history", type=Path, required=True, help="answers the model tier knows")
    one.add_argument("--corpus", type=Path, required=True, help="texts the statistics tier knows")
    one.add_argument("--vocab", type=Path, help="GGUF file with the tokenizer of .jsonl files")
    one.add_argument("--cost", action="append", help=cost_table.__doc__)
    one.set_defaults(action=run_replays)
    two = verbs.add_parser("temperatures", help="the real model")
    two.add_argument("-m", "--model", type=Path, required=True)
    two.add_argument("--questions", type=Path, help="default: the built-in set")
    two.add_argument("--count", type=int, default=12, help="questions, evenly spread")
    two.add_argument("--temperatures", type=float, nargs="+", default=[0, 0.3, 0.7, 1.0])
    two.add_argument("-n", "--predict", type=int, default=96)
    two.add_argument("-c", "--ctx-size", type=int, default=4096)
    two.add_argument("-t", "--threads", type=int, default=2)
    two.set_defaults(action=run_temperatures)
    for verb in (one, two):
        verb.add_argument("--json", type=Path, required=True)
    args = parser.parse_args(argv)
    machine = {"processor": processor(), "commit": commit(Path(hd_edge.__file__).parent)}
    result = {"schema": 1, "hardware": machine, **args.action(args)}
    args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
