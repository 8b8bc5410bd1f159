#!/usr/bin/env python3
"""Decodes recorded answers on a model of the same size with random weights: what drafting costs and brings.

    trace_bench.py -m random-7b-Q4_0.gguf --traces vicuna-7b.eval.jsonl --json out.json

Real: every forward (weights, draft tree, KV cache, copies to the host), the sampler's work on each row, planning,
learning, look-ups. Replayed: the token that the target chooses at each position, which is the recorded one. So wall
time per token against plain decoding of the same trace is that of the recorded model on this machine, with one
exception: the rows of random weights foretell nothing, so none are recycled; a real model's are, for 0.3 % of its time.
Arms take turns answer by answer, the first of them another one each time.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from operator import methodcaller
from pathlib import Path
from time import perf_counter
from typing import Any

from traces import Trace, read_traces

from hd_edge.backend.threads import physical_cores
from hd_edge.bench.arm import LocalArm, Settings
from hd_edge.bench.arms import ARMS, Arms, Tiers
from hd_edge.bench.drafted import Drafted
from hd_edge.bench.hardware import hardware, model_file
from hd_edge.bench.summary import summarise
from hd_edge.bench.table import table
from hd_edge.bench.turns import Record, Results, in_turns
from hd_edge.model.questions import spread

REAL = ("weights", "draft tree", "KV cache", "logits copied to the host", "sampler on every row", "planner", "tiers")
REPLAYED = ("the token the target chooses at each position: the recorded one",)
DEFAULT = ("plain", "llama-cpp", "llama-cpp-pld", "paper", "auto", "auto-warm")
CAVEAT = "no rows are recycled: those of random weights foretell nothing, a real model's do, for 0.3 % of the time"


def load(args: argparse.Namespace) -> Arms:
    """The arms on one model; flash attention on, KV cache in F16, as every arm uses it."""
    settings = Settings(
        n_ctx=args.ctx,
        n_threads=args.threads or physical_cores(),
        n_gpu_layers=args.gpu_layers,
        row_kernels=args.row_kernels,
    )
    return Arms(str(args.model), settings, one_model=True)


def run(arms: list[LocalArm], traces: list[Trace], settings: Settings, results: Results, seconds: float) -> None:
    """What each answer costs each arm; answers in ``results`` are not made again, none begins after ``seconds``."""
    end = perf_counter() + seconds
    done = {record.question for record in results.records}
    for number, trace in enumerate(traces):
        if trace.name in done:
            continue
        if perf_counter() > end:
            print(f"time is up after {len(results.records)} of {len(traces)} answers", file=sys.stderr)
            break
        answers = in_turns(arms, number, methodcaller("answer", trace.prompt, settings, trace.answer))
        results.records.append(Record(trace.name, trace.category, 1, answers))
        speeds = ", ".join(f"{name} {a.timed_tokens / a.stats.seconds:.1f}" for name, a in answers.items())
        print(f"{trace.name}: tokens/s {speeds}", file=sys.stderr)


def show(result: dict[str, Any]) -> None:
    """The table a person reads."""
    print(f"real: {', '.join(result['replay']['real'])}\nreplayed: {', '.join(result['replay']['replayed'])}")
    print(f"note: {result['replay']['caveat']}; {len(result['answers'])} answers")
    print("\n".join(table(result)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--traces", type=Path, nargs="+", required=True, help="recorded answers to decode")
    parser.add_argument(
        "--history", type=Path, nargs="*", default=[], help="what arms with a warm store learned before"
    )
    parser.add_argument(
        "--practice",
        type=int,
        default=0,
        help="answers of each file of --history that those arms decode first: a store that was used knows costs, too",
    )
    parser.add_argument("--statistics", type=Path, help="file of a statistics tier, for all drafting arms")
    parser.add_argument("--drafter", metavar="MODEL", help="small GGUF of auto-drafter, or 'demo'; adds that arm")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(DEFAULT))
    parser.add_argument("--answers", type=int, default=20, help="of each file, evenly spread")
    parser.add_argument("--tokens", type=int, default=128, help="most tokens of an answer")
    parser.add_argument("--ctx", type=int, default=2048)
    parser.add_argument("-t", "--threads", type=int, default=0, help="0: physical cores")
    parser.add_argument("-ngl", "--gpu-layers", type=int, default=0)
    parser.add_argument(
        "--no-row-kernels", dest="row_kernels", action="store_false", help="llama.cpp's own, in all arms"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no answer after so long")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resume", action="store_true", help="keep the answers that --json has, go on with the others")
    args = parser.parse_args()
    if args.resume and not args.json:
        parser.error("--resume goes on with the file of --json: name it")
    if not args.history:
        args.arms = [name for name in args.arms if "warm" not in name]
    if args.drafter and "auto-drafter" not in args.arms:
        args.arms.append("auto-drafter")
    elif not args.drafter and any("drafter" in name for name in args.arms):
        parser.error("an arm with a drafter needs --drafter")
    return args


def settings_of(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """What a run depends on; a run can be resumed only with the same. All arms share weights and kernels."""
    from hd_edge.backend import kernels as row_kernels

    return {
        "model": args.model.name,
        "traces": [path.name for path in args.traces],
        "history": [path.name for path in args.history],
        "practice": args.practice,
        "statistics": args.statistics.name if args.statistics else None,
        "drafter": Path(args.drafter).name if args.drafter else None,
        "arms": args.arms,
        "tokens": args.tokens,
        "n_ctx": args.ctx,
        "n_threads": settings.n_threads,
        "n_gpu_layers": args.gpu_layers,
        "flash_attn": True,
        "type_kv": "f16",
        "temperature": 0.0,
        "row_kernels": row_kernels.status().active and args.row_kernels,
    }


def main() -> int:
    args = arguments()
    with closing(load(args)) as arms:
        result = measure(args, arms)
    show(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def measure(args: argparse.Namespace, arms: Arms) -> dict[str, Any]:
    """The file's content."""
    llama = arms.llm

    def tokenize(text: str, bos: bool) -> list[int]:
        return llama.tokenize(text.encode(), add_bos=bos, special=False)

    settings, results = settings_of(args, arms.settings), Results()
    if args.resume and args.json.exists():
        before = json.loads(args.json.read_text())
        if before["settings"] != settings:
            raise SystemExit(f"{args.json} was made with other settings: {before['settings']}, not {settings}")
        results.records += [Record.from_dict(row) for row in before["answers"]]

    def chosen(paths: list[Path], most: int) -> list[Trace]:
        found = [t for path in paths for t in spread(read_traces(path, tokenize, tokens=args.tokens), most)]
        return [t for t in found if len(t.prompt) + len(t.answer) + 64 <= llama.n_ctx()]

    traces, practised = chosen(args.traces, args.answers), chosen(args.history, args.practice)
    known = {trace.name for trace in practised}  # the arms learn these themselves
    history = [t for path in args.history for t in read_traces(path, tokenize, tokens=512) if t.name not in known]
    texts = tuple((trace.prompt + trace.answer, len(trace.prompt)) for trace in history)
    arms.tiers = Tiers(warm_texts=texts, statistics=args.statistics, drafter=args.drafter)
    for trace in (*traces, *practised):
        arms.remember(trace.prompt, [{"role": "user", "content": trace.asked}])
    made = [arms.make(name) for name in args.arms]
    for arm in made if len(results.records) < len(traces) else ():
        arm.warm_up(traces[0].prompt, arms.settings)
        for trace in practised if "warm" in arm.name else ():
            arm.answer(trace.prompt, arms.settings, trace.answer)
    run(made, traces, arms.settings, results, args.seconds)
    if not results.records:
        raise SystemExit("no answer was decoded: the files hold none that fits, or --seconds is too short")
    return summarise(
        results,
        hardware=hardware(llama),
        model=model_file(llama),
        settings=settings,
        replay={"real": REAL, "replayed": REPLAYED, "caveat": CAVEAT},
        cost={arm.name: arm.cost_rows() for arm in made if isinstance(arm, Drafted)},
    )


if __name__ == "__main__":
    sys.exit(main())
