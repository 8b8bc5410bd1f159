#!/usr/bin/env python3
"""Time to the first token of a second turn behind a long first one, against ``llama_cpp.Llama`` on the same model.

    second_turn.py qwen35.gguf --tokens 4000 --json out.json

The second turn comes in two forms: it goes on behind the first answer, and it rewrites the last tokens before (as chat
templates do that remove a model's thinking). Ours answers it in the same process, behind another conversation (`back`),
and in a new model object that finds only what lies on the disk (`restart`; `dropped`: the system is asked to forget the
files' pages first). llama_cpp has one conversation. Arms take turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import llama_cpp
import numpy as np
from prefix_bench import drop_pages

from hd_edge import Llama
from hd_edge.bench.hardware import hardware

ANSWER, QUESTION, REWRITTEN = 16, 40, 8  # tokens


def turn(llama: Any, tokens: list[int], answer: int = 1) -> tuple[float, list[int], Any]:
    """Seconds to the first token, the answer, and the tokens that were not computed again, if that is told."""
    started = perf_counter()
    generation = llama.generate(tokens, temp=0.0)
    said = [next(generation)]
    seconds = perf_counter() - started
    said += [next(generation) for _ in range(answer - 1)]
    generation.close()
    return seconds, said, getattr(getattr(llama, "stats", None), "cached_tokens", None)


def round_of(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One conversation, all arms."""
    folder = Path(tempfile.mkdtemp(prefix="second_turn", dir=args.folder))
    common = {"n_ctx": args.tokens + 512, "n_threads": args.threads, "n_threads_batch": args.threads}
    rng = np.random.default_rng(seed)

    def ours() -> Llama:
        return Llama(str(args.model), store=None, prefix_cache=folder, prefix_cache_bytes=64 << 30, **common)

    arms: dict[str, dict[str, Any]] = {}

    def note(arm: str, seconds: float, said: list[int], known: Any) -> list[int]:
        arms[arm] = {"seconds": seconds, "known_tokens": known}
        print(f"  {arm}: {seconds:.3f} s, {known} tokens known", file=sys.stderr)
        return said

    llama = ours()
    low, high = 300, llama.n_vocab() - 100
    first = rng.integers(low, high, args.tokens).tolist()
    question, other = rng.integers(low, high, QUESTION).tolist(), rng.integers(low, high, 80).tolist()
    try:
        turn(llama, other)  # warm-up: pages of the weights
        answer = note("ours, first turn", *turn(llama, first, ANSWER))
        rewritten, further = [*first[:-REWRITTEN], *question], [*first, *answer[:-1], *question]
        note("ours, goes on", *turn(llama, further))
        note("ours, rewritten", *turn(llama, rewritten))
        started = perf_counter()
        llama._prefixes.saver.flush()
        saving = perf_counter() - started
        size = sum(path.stat().st_size for path in folder.glob("*/*.kv"))
        files = len(list(folder.glob("*/*.kv")))
        turn(llama, other)
        note("ours, rewritten, back", *turn(llama, rewritten))
        for name in ("restart", "dropped"):
            llama.close()
            if name == "dropped":
                drop_pages(folder)
            llama = ours()
            turn(llama, other)
            note(f"ours, rewritten, {name}", *turn(llama, rewritten))
        about = hardware(llama)
        llama.close()
        plain = llama_cpp.Llama(str(args.model), flash_attn=True, verbose=False, **common)
        turn(plain, other)
        answer = note("llama_cpp, first turn", *turn(plain, first, ANSWER))
        note("llama_cpp, goes on", *turn(plain, [*first, *answer[:-1], *question]))
        note("llama_cpp, rewritten", *turn(plain, rewritten))
        plain.close()
    finally:
        llama.close()
        shutil.rmtree(folder)
    return {"arms": arms, "saving_seconds": saving, "bytes": size, "files": files, "hardware": about}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=4000, help="of the first turn")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the cache lies; default: the folder for temporary files")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rounds = [round_of(args, seed) for seed in range(args.rounds)]
    about = rounds[0]["hardware"]
    for each in rounds:
        del each["hardware"]
    seconds = {arm: statistics.median(each["arms"][arm]["seconds"] for each in rounds) for arm in rounds[0]["arms"]}
    settings = {"model": args.model.name, "tokens": args.tokens, "rounds": args.rounds, "threads": args.threads}
    result = {
        "schema": 1,
        "hardware": about,
        "settings": settings,
        "seconds": seconds,
        "speedup": {arm: seconds["llama_cpp, rewritten"] / seconds[arm] for arm in seconds if "ours, rewritten" in arm},
        "rounds": rounds,
    }
    print(json.dumps(result["speedup"]), file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
