#!/usr/bin/env python3
"""How much of what a drafter brings stays when answers are sampled, at the costs of a large target.

    drafter_retention.py -m target.gguf --drafter small.gguf --share 0.04 --temperatures 0 0.7 1 --json out.json
    drafter_retention.py -m target.gguf --coarse Q2_K        the drafter is the target itself in a coarse quantization

Answers are the target's own, drawn at each temperature; drafts, mixer and verification are real, only costs are those
of a table: a forward over n rows as a fixed curve says, a word of the drafter the share of a forward over one row. So a
small target stands for a 7B that this machine has no time for, and a coarse copy of it for a small model that is right
as often (compare tokens per forward at temperature 0). A drafter's gain is the speed with it over that without it, less
1; retention is its gain at a temperature over that at 0.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from hd_edge.backend.threads import physical_cores
from hd_edge.bench.arm import Settings
from hd_edge.bench.arms import Arms, Tiers
from hd_edge.bench.drafted import Drafted
from hd_edge.bench.hardware import hardware
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.planner import Step
from hd_edge.model.find import resolve, resolve_drafter
from hd_edge.model.questions import read_questions, spread

ARMS = ("auto", "auto-drafter")
CURVE = "1:1,4:1.06,8:1.2,16:1.6"  # rows:forwards; a 7B in Q4_0 with our kernels on two cores
COARSE = {"Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q4_0": 2}  # numbers of llama.cpp's file types


@dataclass
class Tally:
    """What an arm's steps made, and what they cost by the table.

    Attributes:
        tokens: Emitted behind the prompt's first one.
        steps: Forwards of the target.
        cost: In forwards over one row, words of the drafter included.
    """

    tokens: int = 0
    steps: int = 0
    cost: float = 0.0


def forward_cost(curve: dict[int, float], rows: int) -> float:
    """What a forward over so many rows costs by a table: that of the next size it has."""
    return min((cost for n, cost in curve.items() if n >= rows), default=max(curve.values()))


def priced(arm: Drafted, curve: dict[int, float], share: float) -> Tally:
    """From now on the arm plans with these costs, and what it does is counted by them."""
    tally, planner = Tally(), arm.planner
    planner.cost, learn = CostCurve.of(curve), planner.learn
    asking = planner.asking
    if asking is not None:
        reader = asking.tier.reader
        reader._clock = lambda: share * reader.reads  # the curve's seconds are forwards over one row
        asking._prices = [2 * share, share]

    def counted(step: Step) -> None:
        rows = len(step.tree)
        forward = forward_cost(curve, rows)
        tally.tokens += len(step.tokens)
        tally.steps += 1
        tally.cost += forward + (asking.spent if asking is not None else 0.0)
        learn(step._replace(seconds=forward, planning=0.0))

    planner.learn = counted
    return tally


def coarser(model: str, kind: str, folder: str) -> str:
    """The model in a coarse quantization, as a file in the folder."""
    from llama_cpp import llama_cpp as lib

    path = str(Path(folder) / f"{kind}.gguf")
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = COARSE[kind], True
    if code := lib.llama_model_quantize(model.encode(), path.encode(), ctypes.byref(params)):
        raise SystemExit(f"{model} could not be quantized to {kind}: llama.cpp returned {code}")
    return path


def measure(arms: Arms, args: argparse.Namespace, temperature: float, end: float) -> dict[str, Any]:
    """Both arms, every question, arms new."""
    settings = replace(arms.settings, temperature=temperature)
    made = {name: arms.make(name) for name in ARMS}
    tallies = {name: priced(arm, args.curve, args.share) for name, arm in made.items()}
    answered = 0
    for question in spread(read_questions(args.questions), args.count):
        if answered and perf_counter() > end:
            break
        prompt = arms.tokenize([{"role": "user", "content": question.turns[0]}])
        for arm in made.values():
            arm.answer(prompt, settings)
        answered += 1
    found: dict[str, Any] = {"answers": answered}
    for name, tally in tallies.items():
        found[name] = {"tokens_per_forward": tally.tokens / tally.steps, "speedup": tally.tokens / tally.cost}
    found["gain"] = found["auto-drafter"]["speedup"] / found["auto"]["speedup"] - 1
    return found


def retained(found: dict[float, dict[str, Any]]) -> None:
    """Writes each temperature's retention, of the first one's gain, into ``found``."""
    base = next(iter(found.values()))["gain"]
    for told in found.values():
        told["retention"] = told["gain"] / base if base > 0 else None


def table(text: str) -> dict[int, float]:
    """``1:1,4:1.06`` as a table."""
    return {int(rows): float(cost) for rows, cost in (pair.split(":") for pair in text.split(","))}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True, help="the target")
    drafter = parser.add_mutually_exclusive_group(required=True)
    drafter.add_argument("--drafter", metavar="MODEL", help="small GGUF, or 'demo'")
    drafter.add_argument("--coarse", choices=COARSE, help="the target itself in this type")
    parser.add_argument("--share", type=float, default=0.04, help="of a forward, for each word (default 0.04)")
    parser.add_argument("--curve", type=table, default=CURVE, help=f"rows:forwards, ... (default {CURVE})")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 0.7, 1.0], help="0 first")
    parser.add_argument("--questions", type=Path, help="Spec-Bench's question.jsonl; default: a set of our own")
    parser.add_argument("--count", type=int, default=24, help="questions, evenly spread")
    parser.add_argument("-n", "--tokens", type=int, default=96, help="most tokens of an answer")
    parser.add_argument("-c", "--ctx", type=int, default=2048)
    parser.add_argument("-t", "--threads", type=int, default=physical_cores())
    parser.add_argument("--seconds", type=float, default=float("inf"), help="in all; ask nothing more after so long")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    if args.temperatures[0] != 0:
        parser.error(f"retention is told of the gain at temperature 0: name it first, not {args.temperatures[0]:g}")
    settings = Settings(max_tokens=args.tokens, n_ctx=args.ctx, n_threads=args.threads)
    found: dict[float, dict[str, Any]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        model = resolve(args.model)
        arms = stack.enter_context(closing(Arms(model, settings)))
        about = hardware(arms.llm)  # loaded, which silences llama.cpp
        small = coarser(model, args.coarse, folder) if args.coarse else resolve_drafter(args.drafter)
        arms.tiers = Tiers(drafter=small)
        told = {"hardware": about, "settings": {"model": Path(model).name, "drafter": Path(small).name}}
        told["settings"] |= {"share": args.share, "curve": args.curve, "tokens": args.tokens, "n_threads": args.threads}
        for temperature in args.temperatures:
            end = perf_counter() + args.seconds / len(args.temperatures)
            found[temperature] = measure(arms, args, temperature, end)
    retained(found)
    print("temperature  answers  auto  auto-drafter  tokens/forward  gain of the drafter  retention")
    for temperature, one in found.items():
        speeds = f"{one['auto']['speedup']:5.2f} {one['auto-drafter']['speedup']:13.2f}"
        kept = "-" if one["retention"] is None else f"{one['retention']:.2f}"
        forward = one["auto-drafter"]["tokens_per_forward"]
        print(f"{temperature:11g} {one['answers']:8d} {speeds} {forward:15.2f} {one['gain']:20.2f} {kept:>10}")
    if args.json:
        by = {f"{temperature:g}": one for temperature, one in found.items()}
        args.json.write_text(json.dumps({"schema": 1, **told, "temperatures": by}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
