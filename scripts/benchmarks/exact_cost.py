"""What exact mode costs, part by part: seconds of one forward over n rows, for settings added one at a time.

    exact_cost.py MODEL.gguf -t 1 --json cost.json

Every arm runs in a process of its own, because llama.cpp reads some of its switches once; the arms take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

F16, Q8_0, BF16 = 1, 8, 30
ARMS = {
    "default (KV F16)": {},
    "KV q8_0": {"kv": (Q8_0, Q8_0)},
    "KV F16/q8_0": {"kv": (F16, Q8_0)},
    "KV F16/BF16": {"kv": (F16, BF16)},
    "no tiled product": {"tiled": False},
    "no repacking": {"repacking": False},
    "own kernels": {"own": True},
    "own kernels, KV q8_0": {"own": True, "kv": (Q8_0, Q8_0)},
    "exact without own kernels": {"exact": True},
    "exact with own kernels": {"exact": True, "own": True},
}
ROWS = (1, 2, 4, 8, 16)


def measure(model: str, threads: int, arm: dict, contexts: list[int], rounds: int) -> dict:
    """Fastest seconds by context and rows: other programs only ever add to them."""
    import numpy as np

    from hd_edge import Llama, _native

    class Plain(Llama):
        @property
        def model_params(self):
            return self.__dict__["model_params"]

        @model_params.setter
        def model_params(self, params):
            if not arm.get("repacking", True) or (self._exact is not None and not self._exact.repacking):
                params.use_extra_bufts = False
            self.__dict__["model_params"] = params

    settings = {"n_threads": threads, "n_threads_batch": threads, "n_ctx": max(contexts) + 64}
    if "kv" in arm and not arm.get("exact"):
        settings |= dict(zip(("type_k", "type_v"), arm["kv"], strict=True))
    exact, kernels = arm.get("exact", False), "auto" if arm.get("own") else False
    llm = Plain(model, draft="off", store=None, exact=exact, row_kernels=kernels, **settings)
    result: dict = {}
    for context in sorted(contexts):
        llm.eval([1 + i % 200 for i in range(context - llm.n_tokens)])
        llm.verifier.begin(context)
        seconds: dict[int, list[float]] = {n: [] for n in ROWS}
        for round_ in range(rounds + 1):
            for n in ROWS:
                tree = _native.DraftTree()
                for node in range(n):
                    tree.add(9 + node, node - 1)
                started = perf_counter()
                llm.verifier.decode(np.array([9], np.int32), tree)
                if round_:
                    seconds[n].append(perf_counter() - started)
                llm.verifier.rollback()
        result[str(context)] = {str(n): min(values) for n, values in seconds.items()}
    llm.close()
    return result


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("--contexts", nargs="+", type=int, default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=5, help="of forwards within a turn")
    parser.add_argument("--turns", type=int, default=2, help="of the arms")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--arm", choices=list(ARMS), help="only this arm, in this process")
    options = parser.parse_args()
    if options.arm:
        arm = ARMS[options.arm]
        print(json.dumps(measure(options.model, options.threads, arm, options.contexts, options.rounds)))
        return
    turns: dict[str, list[dict]] = {name: [] for name in ARMS}
    for _ in range(options.turns):
        for name, arm in ARMS.items():
            environment = dict(os.environ)
            if not arm.get("tiled", True):
                environment["GGML_CPU_TILED_MM"] = "0"
            command = [sys.executable, __file__, options.model, "-t", str(options.threads), "--arm", name]
            command += ["--rounds", str(options.rounds), "--contexts", *map(str, options.contexts)]
            answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                turns[name].append(json.loads(answer.stdout.splitlines()[-1]))
            else:
                print(f"{name}: {answer.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    best = {
        name: {context: {n: min(turn[context][n] for turn in found) for n in found[0][context]} for context in found[0]}
        for name, found in turns.items()
        if found
    }
    report = {"model": options.model, "threads": options.threads, "seconds": best}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    first = best[next(iter(ARMS))]
    for context in first:
        print(f"\ncontext {context}: milliseconds, and times the default's\n")
        print("| arm | " + " | ".join(f"{n} rows" for n in ROWS) + " |")
        print("|---|" + "---|" * len(ROWS))
        for name, found in best.items():
            cells = [
                f"{found[context][str(n)] * 1e3:.1f} ({found[context][str(n)] / first[context][str(n)]:.2f})"
                for n in ROWS
            ]
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
