#!/usr/bin/env python3
"""What drafting costs where it cannot help: text that never repeats, stores full of the wrong text. In wall time.

    adversarial_bench.py -m model.gguf --foreign other-model.jsonl --json out.json

Cases: ``random`` (random tokens), ``no-repeats`` (no token occurs twice), ``foreign`` and ``nonsense`` (text that the
model says at temperature 1, with a model tier full of another model's answers, or of random tokens). Each text is
decoded plainly and with drafts, piece by piece in turns, the tokens forced as in ``trace_bench``. The cost curve is
known before, as after the first use of a model. Cases that --json holds already are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import cache
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
from trace_bench import load
from traces import Trace

from hd_edge.bench.arms import Arms, Tiers
from hd_edge.bench.hardware import hardware
from hd_edge.bench.summary import decode_time, total
from hd_edge.bench.turns import in_turns

CASES = ("random", "no-repeats", "foreign", "nonsense")
PIECE = 250  # tokens decoded by one arm before the other takes its turn
PROMPT = 32  # tokens
TOPICS = (
    "the sea",
    "a small town",
    "how bread is made",
    "the moon",
    "an old clock",
    "learning to swim",
    "winter",
    "tea",
)


@cache
def answers_of(llama: Any, tokens: int, piece: int) -> list[list[int]]:
    """Prompt and answer, as one list, of several generations at temperature 1 that hold so many tokens together."""
    texts = []
    for seed in range(-(-tokens // piece)):
        prompt = f"<|im_start|>user\nTell me about {TOPICS[seed % len(TOPICS)]}.<|im_end|>\n<|im_start|>assistant\n"
        ids = llama.tokenize(prompt.encode(), add_bos=True, special=True)
        llama.set_seed(seed)
        out: list[int] = []
        for token in llama.generate(ids, temp=1.0, top_k=0, top_p=1.0):
            out.append(int(token))
            if len(out) >= piece:
                break
        texts.append([*ids, *out])
    return texts


def pieces(case: str, llama: Any, tokens: int, piece: int) -> list[Trace]:
    """The texts of a case."""
    rng, n_vocab = np.random.default_rng(7), llama.n_vocab()
    if case in ("foreign", "nonsense"):
        texts = answers_of(llama, tokens, piece)
        return [Trace(f"{case}-{i}", case, ids[:-piece], ids[-piece:]) for i, ids in enumerate(texts)]
    traces = []
    for i in range(-(-tokens // piece)):
        size = PROMPT + piece
        drawn = rng.integers(0, n_vocab, size) if case == "random" else rng.permutation(n_vocab)[:size]
        ids = drawn.tolist()
        traces.append(Trace(f"{case}-{i}", case, ids[:PROMPT], ids[PROMPT:]))
    return traces


def wrong_texts(case: str, llama: Any, foreign: Path | None) -> tuple[tuple[list[int], int], ...]:
    """What the model tier holds; nothing where the case does not speak of it."""
    texts: list[list[int]] = []
    if case == "foreign" and foreign is not None:
        for line in foreign.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            text = row.get("output", row.get("text", ""))
            texts.append(llama.tokenize(text.encode(), add_bos=False, special=False))
    if case == "nonsense":
        texts = np.random.default_rng(8).integers(0, llama.n_vocab(), (200, 500)).tolist()
    return tuple((ids, 0) for ids in texts)


def measure(case: str, arms: Arms, args: argparse.Namespace) -> dict[str, Any]:
    """One case: both arms over the same pieces, in turns."""
    traces = pieces(case, arms.llm, args.tokens, args.piece)
    texts = wrong_texts(case, arms.llm, args.foreign)
    arms.tiers = Tiers(warm_texts=texts)
    plain, auto = made = [arms.make("plain"), arms.make("auto-warm" if texts else "auto")]
    auto.name = "auto"
    for arm in made:
        arm.warm_up(traces[0].prompt, arms.settings)
    found = [
        in_turns(made, number + 1, methodcaller("answer", trace.prompt, arms.settings, trace.answer))
        for number, trace in enumerate(traces)
    ]
    auto.close()
    sums = {arm.name: total([answers[arm.name] for answers in found]) for arm in made}
    ratios = [decode_time(answers[plain.name]) / decode_time(answers[auto.name]) for answers in found]
    kept = ("tokens", "seconds", "forwards", "rows")
    return {
        "arms": {name: {key: row[key] for key in kept} for name, row in sums.items()},
        "draft_share": sums["auto"]["draft_share"],
        "speedup": {"total": sums["plain"]["seconds"] / sums["auto"]["seconds"], "median": float(np.median(ratios))},
        "pieces": ratios,
        "cost": auto.cost_rows(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--foreign", type=Path, help="JSON lines of another model's answers (output or text)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--tokens", type=int, default=2000, help="of each case and arm")
    parser.add_argument("--piece", type=int, default=PIECE, help="tokens of a turn")
    parser.add_argument("--ctx", type=int, default=1024)
    parser.add_argument("-t", "--threads", type=int, default=0, help="0: physical cores")
    parser.add_argument("-ngl", "--gpu-layers", type=int, default=0)
    parser.add_argument("--no-row-kernels", dest="row_kernels", action="store_false", help="llama.cpp's own, both arms")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if "foreign" in args.cases and args.foreign is None:
        parser.error("the case foreign needs --foreign: a file of another model's answers")
    arms = load(args)
    settings = {
        "model": args.model.name,
        "n_threads": arms.settings.n_threads,
        "row_kernels": args.row_kernels,
        "tokens": args.tokens,
        "piece": args.piece,
    }
    result: dict[str, Any] = {"schema": 1, "hardware": hardware(arms.llm), "settings": settings, "cases": {}}
    if args.json and args.json.exists():
        before = json.loads(args.json.read_text(encoding="utf-8"))
        if before["settings"] != settings:
            raise SystemExit(f"{args.json} was made with other settings: {before['settings']}, not {settings}")
        result["cases"] = before["cases"]
    for case in args.cases:
        if case in result["cases"]:
            continue
        found = result["cases"][case] = measure(case, arms, args)
        speed, auto = found["speedup"], found["arms"]["auto"]
        print(
            f"{case:12s} {speed['total']:.3f} of plain (median of pieces {speed['median']:.3f}), "
            f"{auto['rows'] / auto['forwards']:.2f} rows, {auto['tokens'] / auto['forwards']:.2f} tokens per forward, "
            f"drafting {100 * found['draft_share']:.1f} % of the forwards",
            flush=True,
        )
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
