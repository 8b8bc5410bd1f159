#!/usr/bin/env python3
"""What one forward over a draft tree costs: T(n) for n rows behind prefixes of several lengths, on any backend.

    verify_cost.py -m model.gguf --rows 1-63 --contexts 64 512 1900 --json cost.json
    verify_cost.py -m model.gguf --rows 1,2,4,8,16 --exact            what exact mode costs, beside a run without it

Each forward is hd_edge's own: batch, sequences, llama_decode, the wait, the copy of the logits to the host. Sizes take
turns. ``changed`` is the median where the size before was another one, as in drafting (llama.cpp builds its graph anew,
a GPU loses its recorded one); ``second`` that of the next forward of this size, in which a GPU records; ``repeated``
that of those behind it, as in plain decoding. ``wide`` is the same number of rows as a root with many children, each of
them a branch of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from hd_edge import Llama, _native
from hd_edge.backend import kernels as row_kernels
from hd_edge.backend.threads import physical_cores
from hd_edge.bench.arms import KV_TYPES
from hd_edge.bench.hardware import hardware

WIDE = (4, 8, 16, 32)
KINDS = ("changed", "second", "repeated", "repeated")  # of forwards of one size in a row


def tree_of(root: int, rows: int, wide: bool) -> _native.DraftTree:
    """A chain, or a root whose children are all leaves."""
    tree = _native.DraftTree()
    for node in range(rows):
        tree.add(root + node, -1 if node == 0 else 0 if wide else node - 1)
    return tree


class Forwards:
    """Timed forwards behind a fixed prefix; the KV cache is the same before each."""

    def __init__(self, llama: Llama, context: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.llama, self.verifier = llama, llama.verifier
        self.root = 300  # an ordinary token
        llama.reset()
        self.verifier.begin(0)
        llama.eval([int(t) for t in rng.integers(300, llama.n_vocab() - 100, context)])
        self.verifier.begin(context)

    def seconds(self, rows: int, wide: bool = False) -> float:
        tree, pending = tree_of(self.root, rows, wide), np.array([self.root], np.int32)
        started = perf_counter()
        code = self.verifier.decode(pending, tree)
        elapsed = perf_counter() - started
        if code != 0:
            raise SystemExit(f"llama_decode returned {code} for {rows} rows")
        self.back()
        return elapsed

    def back(self) -> None:
        """To the prefix; where a recurrent state has overwritten it, behind the root, which costs the same."""
        if self.llama.verifier.max_leaves == 1:
            self.verifier.commit([0])
        else:
            self.verifier.rollback()


def measure(llama: Llama, context: int, rows: list[int], rounds: int, seconds: float) -> dict[str, Any]:
    """Medians in seconds by rows, at one length of the prefix."""
    forwards = Forwards(llama, context, context)
    times: dict[str, dict[int, list[float]]] = {kind: {} for kind in (*KINDS, "wide")}
    end, made = perf_counter() + seconds, 0
    for n in rows:
        forwards.seconds(n)  # what is made once per size
    for number in range(rounds):
        for n in rows if number % 2 == 0 else rows[::-1]:
            for kind in KINDS:
                times[kind].setdefault(n, []).append(forwards.seconds(n))
        for n in WIDE:
            if n in rows and n <= llama.verifier.max_leaves:
                times["wide"].setdefault(n, []).append(forwards.seconds(n, wide=True))
        made += 1
        if perf_counter() > end:
            break
    return {"context": context, "rounds": made, **over(times, statistics.median), "fastest": over(times, min)}


def over(times: dict[str, dict[int, list[float]]], summed: Callable[[list[float]], float]) -> dict[str, Any]:
    """One figure per kind and size, as JSON keeps them."""
    return {kind: {str(n): summed(found) for n, found in sizes.items()} for kind, sizes in times.items()}


def host_costs(llama: Llama) -> dict[str, float]:
    """Seconds of work on the host per row: the greedy choice, and the likeliest tokens that are recycled."""
    rows = llama.verifier.max_rows
    forwards = Forwards(llama, 16, 0)
    drafter, tree = _native.Drafter(llama.n_vocab()), tree_of(forwards.root, rows, wide=False)
    drafter.begin(np.array([forwards.root], np.int32))
    forwards.verifier.decode(np.array([forwards.root], np.int32), tree)
    argmax, recycled = [], []
    for _ in range(20):
        started = perf_counter()
        for node in range(rows):
            forwards.verifier.argmax(node)
        between = perf_counter()
        made = drafter.recycle(forwards.verifier, tree, range(rows), 10.0)
        argmax.append((between - started) / rows)
        recycled.append((perf_counter() - between) / made)
    forwards.back()
    return {
        "argmax_seconds_per_row": statistics.median(argmax),
        "recycle_seconds_per_row": statistics.median(recycled),
        "logits_bytes_per_row": 4.0 * llama.n_vocab(),
    }


def sizes(text: str) -> list[int]:
    """``"1-8,12,16"`` as a list."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return sorted(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--rows", type=sizes, default=sizes("1-63"), help="such as 1-16,24,32")
    parser.add_argument("--contexts", type=int, nargs="+", default=[64, 512, 1900])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="begin no round after so long, per context length")
    parser.add_argument("-t", "--threads", type=int, default=physical_cores())
    parser.add_argument("-ngl", "--gpu-layers", type=int, default=0)
    parser.add_argument("--no-row-kernels", dest="row_kernels", action="store_false", help="llama.cpp's own kernels")
    parser.add_argument("--exact", action="store_true", help="exact mode, which may choose another KV type")
    parser.add_argument("--type-kv", choices=sorted(KV_TYPES), default="f16")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    llama = Llama(
        str(args.model),
        draft="auto",  # with "off" a hybrid model keeps nothing that a draft could be taken back by
        store=None,
        prefix_cache=None,
        n_ctx=max(args.contexts) + 128,
        n_threads=args.threads,
        n_threads_batch=args.threads,
        n_gpu_layers=args.gpu_layers,
        row_kernels="auto" if args.row_kernels else False,
        exact=args.exact,
        **({} if args.exact else dict.fromkeys(("type_k", "type_v"), KV_TYPES[args.type_kv])),
    )
    curves = [measure(llama, context, args.rows, args.rounds, args.seconds) for context in args.contexts]
    result = {
        "schema": 1,
        "hardware": hardware(llama),
        "settings": {
            "model": args.model.name,
            "n_threads": llama.context_params.n_threads,
            "n_gpu_layers": args.gpu_layers,
            "flash_attn": True,
            "type_kv": "exact" if args.exact else args.type_kv,
            "row_kernels": row_kernels.status().active and args.row_kernels,
        },
        "curves": curves,
        "host": host_costs(llama),
    }
    for curve in curves:
        one = curve["repeated"][str(args.rows[0])]
        line = " ".join(f"{n}:{curve['changed'][str(n)] / one:.2f}" for n in args.rows)
        print(f"context {curve['context']}: T(1) {one * 1e3:.2f} ms, T(n)/T(1) {line}")
    print(", ".join(f"{name} {value:.3g}" for name, value in result["host"].items()))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
