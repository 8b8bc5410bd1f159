#!/usr/bin/env python3
"""Time to the first token behind a long prefix: computed, from memory, from disk, and after a restart.

    prefix_bench.py model.gguf --prefixes 500 2000 3500 --json out.json

Each prefix is asked again and again with another question of 12 tokens behind it. `disk` and `restart` (a new model
object) read files that the system still has in its page cache; before `dropped` it is asked to forget them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from hd_edge import Llama
from hd_edge.bench.hardware import hardware

QUESTION = 12  # tokens
ARMS = ("cold", "memory", "disk", "restart", "dropped")


def first_token(llama: Llama, tokens: list[int]) -> tuple[float, int]:
    """Seconds to the first token, and how many tokens of the prompt were known."""
    started = perf_counter()
    generation = llama.generate(tokens, temp=0.0)
    next(generation)
    seconds = perf_counter() - started
    generation.close()
    return seconds, llama.stats.cached_tokens


def drop_pages(folder: Path) -> bool:
    """Asks the system to forget the files' pages; False where it cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.glob("*/*.kv"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def round_of(args: argparse.Namespace, n: int, seed: int) -> dict[str, Any]:
    """One prefix, all arms."""
    folder = Path(tempfile.mkdtemp(prefix="prefix_bench", dir=args.folder))

    def load() -> Llama:
        return Llama(
            str(args.model),
            store=None,
            prefix_cache=folder,
            prefix_cache_bytes=64 << 30,
            n_ctx=args.ctx,
            n_threads=args.threads,
            n_threads_batch=args.threads,
        )

    rng = np.random.default_rng(seed)
    llama = load()
    low, high = 300, llama.n_vocab() - 100
    prefix = rng.integers(low, high, n).tolist()

    def ask() -> list[int]:
        return [*prefix, *rng.integers(low, high, QUESTION).tolist()]

    def other() -> None:
        first_token(llama, rng.integers(low, high, 40).tolist())

    seconds: dict[str, float] = {}
    known: dict[str, int] = {}
    try:
        other()  # warm-up: pages of the weights
        seconds["cold"], known["cold"] = first_token(llama, ask())
        other()
        seconds["memory"], known["memory"] = first_token(llama, ask())
        started = perf_counter()
        llama._prefixes.saver.flush()
        saving = perf_counter() - started
        other()
        llama._prefixes.memory.clear()
        seconds["disk"], known["disk"] = first_token(llama, ask())
        for arm in ("restart", "dropped"):
            llama.close()
            dropped = arm == "dropped" and drop_pages(folder)
            started = perf_counter()
            llama = load()
            loading = perf_counter() - started
            other()  # pages of the weights again
            seconds[arm], known[arm] = first_token(llama, ask())
        size = sum(path.stat().st_size for path in folder.glob("*/*.kv"))
        about = hardware(llama)
    finally:
        llama.close()
        shutil.rmtree(folder)
    return {
        "seconds": seconds,
        "known_tokens": known,
        "saving_seconds": saving,
        "loading_seconds": loading,
        "bytes": size,
        "pages_dropped": dropped,
        "hardware": about,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--prefixes", type=int, nargs="+", default=[500, 2000, 3500], help="tokens")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-c", "--ctx", type=int, default=4096)
    parser.add_argument("--folder", type=Path, help="where the cache lies; default: the folder for temporary files")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = {"model": args.model.name, "rounds": args.rounds, "threads": args.threads, "n_ctx": args.ctx}
    result: dict[str, Any] = {"schema": 1, "settings": settings, "prefixes": {}}
    for n in args.prefixes:
        rounds = [round_of(args, n, seed) for seed in range(args.rounds)]
        result["hardware"] = rounds[0].pop("hardware")
        for each in rounds[1:]:
            each.pop("hardware")
        medians = {arm: statistics.median(each["seconds"][arm] for each in rounds) for arm in ARMS}
        ratios = {
            arm: statistics.median(each["seconds"]["cold"] / each["seconds"][arm] for each in rounds)
            for arm in ARMS[1:]
        }
        result["prefixes"][str(n)] = {"seconds": medians, "speedup": ratios, "rounds": rounds}
        line = ", ".join(f"{arm} {medians[arm]:.3f} s" for arm in ARMS)
        times = ", ".join(f"{arm} {ratios[arm]:.1f}x" for arm in ARMS[1:])
        print(f"{n} tokens, {rounds[0]['bytes'] / 1e6:.0f} MB: {line}; {times}", file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
