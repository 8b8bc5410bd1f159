#!/usr/bin/env python3
"""Measures what a forward of n rows costs, with llama.cpp's own kernels and with ours, in turns in one process pair.

cost_curve.py --json curve.json -m model.gguf
cost_curve.py --json curve.json --shape 7b-4layers --type Q4_0 --vocab ggml-vocab-llama-spm.gguf
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

ROWS = (*range(1, 17), 24, 32, 512)
ARMS = ("llama_cpp", "row_kernels")
PREFIX = 64  # tokens in the KV cache before the rows


def load(path: str, arm: str, threads: int, layers_on_gpu: int) -> tuple[Any, float]:
    """A model of one arm and the seconds its loading took."""
    import llama_cpp

    from hd_edge.backend import kernels as row_kernels

    started = perf_counter()
    with row_kernels.offered("auto" if arm == "row_kernels" else False) as status:
        if arm == "row_kernels" and not status.active:
            sys.exit(f"row kernels are not active: {status.reason}")
        model = llama_cpp.Llama(
            path,
            n_ctx=1024,
            n_batch=512,
            n_ubatch=512,
            n_threads=threads,
            n_threads_batch=threads,
            n_gpu_layers=layers_on_gpu,
            flash_attn=True,
            verbose=False,
        )
    return model, perf_counter() - started


class Forward:
    """Forwards of n rows behind a fixed prefix; the KV cache is the same before each."""

    def __init__(self, model: Any) -> None:
        from llama_cpp import llama_cpp as lib

        self.lib, self.model = lib, model
        self.batch = lib.llama_batch_init(512, 0, 1)
        self.memory = lib.llama_get_memory(model.ctx)
        self.tokens = model.n_vocab()
        self.run(PREFIX, 0)

    def run(self, n: int, position: int) -> float:
        batch = self.batch
        batch.n_tokens = n
        for i in range(n):
            batch.token[i] = (i * 7919 + 13) % self.tokens
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = n <= 64 or i == n - 1  # a prompt needs the last row only
        started = perf_counter()
        if self.lib.llama_decode(self.model.ctx, batch) != 0:
            sys.exit(f"llama_decode failed at {n} rows")
        self.lib.llama_get_logits_ith(self.model.ctx, n - 1)
        return perf_counter() - started

    def timed(self, n: int) -> float:
        seconds = self.run(n, PREFIX)
        self.lib.llama_memory_seq_rm(self.memory, 0, PREFIX, -1)
        return seconds


def worker(pipe: Connection, path: str, arm: str, threads: int, layers_on_gpu: int) -> None:
    from hd_edge.bench.hardware import hardware

    model, seconds = load(path, arm, threads, layers_on_gpu)
    forward = Forward(model)
    pipe.send((seconds, hardware(model)))
    while (n := pipe.recv()) is not None:
        forward.timed(n)  # wakes the threads and fills the caches
        started, times = perf_counter(), []
        while len(times) < 2 or (perf_counter() - started < 0.12 and len(times) < 20):
            times.append(forward.timed(n))
        pipe.send(times)


def measure(path: str, threads: int, turns: int, layers_on_gpu: int, rows: list[int]) -> dict[str, Any]:
    """Medians in seconds per arm and number of rows."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    load_seconds = {}
    for arm in ARMS:
        pipes[arm], end = context.Pipe()
        process = context.Process(target=worker, args=(end, path, arm, threads, layers_on_gpu), daemon=True)
        process.start()
        processes.append(process)
        end.close()
        load_seconds[arm], machine = pipes[arm].recv()
    times: dict[str, dict[int, list[float]]] = {arm: {n: [] for n in rows} for arm in ARMS}
    for turn in range(turns):
        for n in rows:
            for arm in ARMS if turn % 2 == 0 else ARMS[::-1]:
                pipes[arm].send(n)
                times[arm][n] += pipes[arm].recv()
        print(f"turn {turn + 1} of {turns}", file=sys.stderr)
    for arm in ARMS:
        pipes[arm].send(None)
    for process in processes:
        process.join()
    curve = {arm: [statistics.median(times[arm][n]) for n in rows] for arm in ARMS}
    best = {arm: [min(times[arm][n]) for n in rows] for arm in ARMS}
    return {"curve": curve, "fastest": best, "load": load_seconds, "hardware": machine}


def report(result: dict[str, Any], rows: list[int]) -> None:
    """A table of medians; the fastest of all forwards beside them, since a busy machine moves medians."""
    print("milliseconds: median (T(n)/T(1)) fastest")
    print(f"{'rows':>5} {'llama.cpp':>26} {'row kernels':>26}")
    for i, n in enumerate(rows):
        cells = []
        for arm in ARMS:
            curve, fastest = result["curve"][arm], result["fastest"][arm]
            cells.append(f"{curve[i] * 1e3:9.2f} ({curve[i] / curve[0]:5.2f}) {fastest[i] * 1e3:8.2f}")
        theirs, ours = (result["curve"][arm][i] for arm in ARMS)
        print(f"{n:>5} {cells[0]:>26} {cells[1]:>26}  {theirs / ours:5.2f}x")
    print("load", {arm: round(seconds, 2) for arm, seconds in result["load"].items()})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("-m", "--model", type=Path)
    parser.add_argument("--shape", default="7b-4layers", help="random weights of this shape, if no model is given")
    parser.add_argument("--type", default="Q4_0")
    parser.add_argument("--pure", action="store_true", help="random weights: the output head in the same type")
    parser.add_argument("--vocab", type=Path, help="random weights: GGUF whose tokenizer is copied")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-ngl", "--gpu-layers", type=int, default=0)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.model
        if path is None:
            import make_random_gguf

            path = Path(folder) / "random.gguf"
            shape = make_random_gguf.SHAPES[args.shape]
            make_random_gguf.write(path, shape, args.type, vocab=args.vocab, pure=args.pure)
        result = measure(str(path), args.threads, args.turns, args.gpu_layers, args.rows)
    report(result, args.rows)
    if args.json:
        args.json.write_text(
            json.dumps(
                {
                    "schema": 1,
                    "hardware": result["hardware"],
                    "settings": {"threads": args.threads, "turns": args.turns, "gpu_layers": args.gpu_layers},
                    "model": args.model.name if args.model else args.shape,
                    "type": args.type if args.model is None else None,
                    "threads": args.threads,
                    "rows": args.rows,
                    **result["curve"],
                    "fastest": result["fastest"],
                    "load_seconds": result["load"],
                },
                indent=1,
            )
            + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
