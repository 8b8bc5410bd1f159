#!/usr/bin/env python3
"""Decodes recorded answers on a model of the same size with random weights: what drafting costs and brings.

    trace_bench.py -m random-7b-Q4_0.gguf --traces vicuna-7b.eval.jsonl --json out.json

Real: every forward (weights, draft tree, KV cache, copies to the host), the sampler's work on each row, planning,
learning, look-ups. Replayed: the token that the target chooses at each position, which is the recorded one. So wall
time per token against plain decoding of the same trace is that of the recorded model on this machine, with one
exception: what is recycled from the target's rows is noise here, and a real model drafts a little better.
Arms take turns answer by answer, the first of them another one each time.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from replay_arms import ARMS, Arm, Drafted, beginning, make_arms
from traces import Trace, read_traces

from hd_edge.bench.hardware import hardware, model_file
from hd_edge.bench.questions import spread
from hd_edge.bench.summary import summarise
from hd_edge.bench.turns import Record, Results
from hd_edge.draft.planner import NoDraft

REAL = ("weights", "draft tree", "KV cache", "logits copied to the host", "sampler on every row", "planner", "tiers")
REPLAYED = ("the token the target chooses at each position: the recorded one",)
CAVEAT = "rows recycled from the target are noise with random weights: a real model drafts a little better"


def load(args: argparse.Namespace) -> Any:
    """The model; flash attention on, KV cache in F16, as every arm uses it."""
    import hd_edge

    return hd_edge.Llama(
        str(args.model),
        draft="off",
        store=None,
        prefix_cache=None,
        n_ctx=args.ctx,
        n_threads=args.threads,
        n_threads_batch=args.threads,
        n_gpu_layers=args.gpu_layers,
        row_kernels="auto" if args.row_kernels else False,
    )


def tokenizer(llama: Any) -> Any:
    return lambda text, bos: llama.tokenize(text.encode(), add_bos=bos, special=False)


def run(arms: list[Arm], traces: list[Trace], results: Results, seconds: float) -> None:
    """What each answer costs each arm; answers in ``results`` are not made again, none begins after ``seconds``."""
    end = perf_counter() + seconds
    done = {record.question for record in results.records}
    for number, trace in enumerate(traces):
        if trace.name in done:
            continue
        if perf_counter() > end:
            print(f"time is up after {len(results.records)} of {len(traces)} answers", file=sys.stderr)
            break
        turn = number % len(arms)
        answers = {arm.name: arm.decode(trace) for arm in arms[turn:] + arms[:turn]}
        in_order = {arm.name: answers[arm.name] for arm in arms}
        results.records.append(Record(trace.name, trace.category, 1, in_order))
        speeds = ", ".join(f"{name} {a.timed_tokens / a.seconds:.1f}" for name, a in in_order.items())
        print(f"{trace.name}: tokens/s {speeds}", file=sys.stderr)


def show(result: dict[str, Any]) -> None:
    """The table a person reads."""
    print(f"real: {', '.join(result['replay']['real'])}\nreplayed: {', '.join(result['replay']['replayed'])}")
    print(f"note: {result['replay']['caveat']}; {len(result['answers'])} answers")
    print(f"{'arm':<16}{'tokens/s':>10}{'speed-up':>10}{'95 % interval':>16}{'tok/forward':>13}{'rows/forward':>14}")
    for arm, row in result["arms"].items():
        ratio = result["speedup"].get(arm, {}).get("overall")
        cells = f"{ratio['median']:>10.2f}{ratio['low']:>9.2f} - {ratio['high']:.2f}" if ratio else " " * 26
        print(
            f"{arm:<16}{row['tokens_per_second']:>10.1f}{cells}"
            f"{row['mean_accepted_tokens']:>13.2f}{row['rows_per_forward']:>14.2f}"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--traces", type=Path, nargs="+", required=True, help="recorded answers to decode")
    parser.add_argument("--history", type=Path, nargs="*", default=[], help="what auto-warm learned before")
    parser.add_argument("--statistics", type=Path, help="file of a statistics tier, for all drafting arms")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
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
    if "auto-warm" in args.arms and not args.history:
        args.arms.remove("auto-warm")
    return args


def settings_of(args: argparse.Namespace, llama: Any) -> dict[str, Any]:
    """What a run depends on; a run can be resumed only with the same. All arms share weights and kernels."""
    from hd_edge.backend import kernels as row_kernels

    return {
        "model": args.model.name,
        "traces": [path.name for path in args.traces],
        "history": [path.name for path in args.history],
        "statistics": args.statistics.name if args.statistics else None,
        "arms": args.arms,
        "tokens": args.tokens,
        "n_ctx": args.ctx,
        "n_threads": llama.context_params.n_threads,
        "n_gpu_layers": args.gpu_layers,
        "flash_attn": True,
        "type_kv": "f16",
        "temperature": 0.0,
        "row_kernels": row_kernels.status().active and args.row_kernels,
    }


def main() -> int:
    args = arguments()
    llama = load(args)
    settings, tokenize = settings_of(args, llama), tokenizer(llama)
    results = Results()
    if args.resume and args.json.exists():
        before = json.loads(args.json.read_text())
        if before["settings"] != settings:
            raise SystemExit(f"{args.json} was made with other settings: {before['settings']}, not {settings}")
        results.records += [Record.from_dict(row) for row in before["answers"]]
    traces = []
    for path in args.traces:
        found = spread(read_traces(path, tokenize, tokens=args.tokens), args.answers)
        traces += [t for t in found if len(t.prompt) + len(t.answer) + 64 <= llama.n_ctx()]
    history = [trace for path in args.history for trace in read_traces(path, tokenize, tokens=512)]
    arms = make_arms(llama, args.arms, history, args.statistics)
    if len(results.records) < len(traces):
        Drafted("plain", llama, NoDraft(), None).decode(beginning(traces[0]))  # pages, threads
        for arm in arms:
            arm.warm_up(traces[0])
    run(arms, traces, results, args.seconds)
    if not results.records:
        raise SystemExit("no answer was decoded: the files hold none that fits, or --seconds is too short")
    result = summarise(
        results,
        hardware=hardware(llama),
        model=model_file(llama),
        settings=settings,
        replay={"real": REAL, "replayed": REPLAYED, "caveat": CAVEAT},
        cost={arm.name: arm.cost_rows() for arm in arms},
    )
    show(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
