#!/usr/bin/env python3
"""Measures what a forward of n rows costs, with llama.cpp's own kernels and with ours, in turns in one process pair.

cost_curve.py --json curve.json -m model.gguf
cost_curve.py --json curve.json --shape 7b-4layers --type Q4_0 --vocab ggml-vocab-llama-spm.gguf
cost_curve.py --json curve.json -m model.gguf --context 64 1024 3500 8000 --rows 1 2 4 8 16 --kv Q8_0
cost_curve.py -m model.gguf -t 1 --cpu-time --rows 1           time that the one thread computed, on a busy machine

Beside T(n, L) stands the roofline of one row: the bytes of the weights and the cache that it reads, over the speed of
memory, measured between the turns.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

ROWS = (*range(1, 17), 24, 32, 512)
ARMS = ("llama_cpp", "row_kernels")
PREFIX = 64  # tokens in the KV cache before the rows, unless --context says otherwise
KV_TYPES = {"F16": 1, "BF16": 30, "F32": 0, "Q8_0": 8}


def load(path: str, arm: str, args: argparse.Namespace) -> tuple[Any, float]:
    """A model of one arm and the seconds its loading took."""
    import llama_cpp

    from hd_edge.backend import kernels as row_kernels

    started = perf_counter()
    with row_kernels.offered("auto" if arm == "row_kernels" else False) as status:
        if arm == "row_kernels" and not status.active:
            sys.exit(f"row kernels are not active: {status.reason}")
        model = llama_cpp.Llama(
            path,
            n_ctx=max(args.context) + 960,
            n_batch=512,
            n_ubatch=512,
            n_threads=args.threads,
            n_threads_batch=args.threads,
            n_gpu_layers=args.gpu_layers,
            flash_attn=True,
            type_k=KV_TYPES[args.kv],
            type_v=KV_TYPES[args.kv],
            verbose=False,
        )
    return model, perf_counter() - started


def clock_of(args: argparse.Namespace) -> Callable[[], float]:
    """What time is: the wall's, or what the computing thread had of the processor."""
    return thread_time if args.cpu_time else perf_counter


class Forward:
    """Forwards of n rows behind a context that grows; the KV cache is the same before each."""

    def __init__(self, model: Any, clock: Callable[[], float]) -> None:
        from llama_cpp import llama_cpp as lib

        self.lib, self.model = lib, model
        self.batch = lib.llama_batch_init(512, 0, 1)
        self.memory = lib.llama_get_memory(model.ctx)
        self.tokens = model.n_vocab()
        self.context, self.clock = 0, clock

    def extend(self, context: int) -> float:
        """Fills the cache up to so many tokens; seconds of that."""
        seconds = 0.0
        while self.context < context:
            n = min(512, context - self.context)
            seconds += self.run(n, self.context)
            self.context += n
        return seconds

    def run(self, n: int, position: int) -> float:
        batch = self.batch
        batch.n_tokens = n
        for i in range(n):
            batch.token[i] = (i * 7919 + 13) % self.tokens
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = n <= 64 or i == n - 1  # a prompt needs the last row only
        started = self.clock()
        if self.lib.llama_decode(self.model.ctx, batch) != 0:
            sys.exit(f"llama_decode failed at {n} rows")
        self.lib.llama_get_logits_ith(self.model.ctx, n - 1)
        return self.clock() - started

    def timed(self, n: int) -> float:
        seconds = self.run(n, self.context)
        self.lib.llama_memory_seq_rm(self.memory, 0, self.context, -1)
        return seconds


def worker(pipe: Connection, path: str, arm: str, args: argparse.Namespace) -> None:
    from hd_edge.bench.hardware import hardware

    model, seconds = load(path, arm, args)
    forward = Forward(model, clock_of(args))
    pipe.send((seconds, hardware(model)))
    while (order := pipe.recv()) is not None:
        what, n = order
        if what == "extend":
            pipe.send(forward.extend(n))
            continue
        forward.timed(n)  # wakes the threads and fills the caches
        started, times = perf_counter(), []
        while len(times) < 2 or (perf_counter() - started < 0.12 and len(times) < 20):
            times.append(forward.timed(n))
        pipe.send(times)


def read_bytes(path: str, kv: str) -> tuple[int, float]:
    """Bytes of weights that a row reads, of experts those that serve it, and of the cache for every token before it."""
    from hd_edge.model import gguf

    header = gguf.read_header(path)
    sizes = {name: (values, size) for name, values, size in gguf.TENSOR_TYPES.values()}
    experts, used = (header.scalars.get(f"{header.architecture}.expert_{name}count", 1) for name in ("", "used_"))
    weights = 0
    for name, kind in header.tensor_types.items():
        if name == "token_embd.weight" and "output.weight" in header.tensor_types:
            continue  # a row reads one line of it
        values, size = sizes[kind]
        read = math.prod(header.dimensions[name]) // values * size
        weights += read * int(used) // int(experts) if "_exps." in name else read
    values, size = sizes[kv]
    rows = [header.dimensions[n][1] for n in header.dimensions if n.endswith(("attn_k.weight", "attn_v.weight"))]
    return weights, sum(rows) * size / values


def memory_speed(threads: int, clock: Callable[[], float]) -> float:
    """Bytes per second that reading memory alone reaches, the best of some passes."""
    parts = [np.ones(64 << 20, dtype=np.float32) for _ in range(threads)]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(4):
            started = clock()
            list(pool.map(np.max, parts) if threads > 1 else map(np.max, parts))
            best = max(best, sum(part.nbytes for part in parts) / (clock() - started))
    return best


def measure(path: str, args: argparse.Namespace) -> dict[str, Any]:
    """Per context: medians in seconds per arm and number of rows, prefill, roofline of one row."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    load_seconds = {}
    for arm in ARMS:
        pipes[arm], end = context.Pipe()
        process = context.Process(target=worker, args=(end, path, arm, args), daemon=True)
        process.start()
        processes.append(process)
        end.close()
        load_seconds[arm], machine = pipes[arm].recv()

    def ask(arm: str, what: str, n: int) -> Any:
        pipes[arm].send((what, n))
        return pipes[arm].recv()

    weights, per_token = read_bytes(path, args.kv)
    prefill = dict.fromkeys(ARMS, 0.0)
    at = {}
    for tokens in sorted(args.context):
        for arm in ARMS:
            prefill[arm] += ask(arm, "extend", tokens)
        times: dict[str, dict[int, list[float]]] = {arm: {n: [] for n in args.rows} for arm in ARMS}
        speeds = []
        for turn in range(args.turns):
            speeds.append(memory_speed(args.threads, clock_of(args)))
            for n in args.rows:
                for arm in ARMS if turn % 2 == 0 else ARMS[::-1]:
                    times[arm][n] += ask(arm, "rows", n)
            print(f"{tokens} tokens: turn {turn + 1} of {args.turns}", file=sys.stderr)
        read = weights + round(per_token * tokens)
        speed = statistics.median(speeds)
        at[tokens] = {
            **{arm: [statistics.median(times[arm][n]) for n in args.rows] for arm in ARMS},
            "fastest": {arm: [min(times[arm][n]) for n in args.rows] for arm in ARMS},
            "prefill": dict(prefill),
            "bytes": read,
            "bytes_per_second": speed,
            "roofline": read / speed,
        }
    for arm in ARMS:
        pipes[arm].send(None)
    for process in processes:
        process.join()
    return {"at": at, "load": load_seconds, "hardware": machine}


def report(result: dict[str, Any], rows: list[int]) -> None:
    """A table of medians; the fastest of all forwards beside them, since a busy machine moves medians."""
    for tokens, found in result["at"].items():
        prefill = ", ".join(f"{arm} {seconds:.2f} s" for arm, seconds in found["prefill"].items())
        print(f"{tokens} tokens of context; prefill: {prefill}")
        print(f"  one row reads {found['bytes'] / 1e6:.0f} MB: {found['roofline'] * 1e3:.2f} ms at", end=" ")
        print(f"{found['bytes_per_second'] / 1e9:.1f} GB/s; milliseconds: median (T(n)/T(1)) fastest")
        print(f"{'rows':>5} {'llama.cpp':>26} {'row kernels':>26}")
        for i, n in enumerate(rows):
            cells = []
            for arm in ARMS:
                curve, fastest = found[arm], found["fastest"][arm]
                cells.append(f"{curve[i] * 1e3:9.2f} ({curve[i] / curve[0]:5.2f}) {fastest[i] * 1e3:8.2f}")
            theirs, ours = (found[arm][i] for arm in ARMS)
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
    parser.add_argument("--cpu-time", action="store_true", help="time of the one thread on the processor (-t 1)")
    parser.add_argument("-ngl", "--gpu-layers", type=int, default=0)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--context", type=int, nargs="+", default=[PREFIX], help="tokens before the rows")
    parser.add_argument("--kv", choices=KV_TYPES, default="F16", help="type of K and V")
    args = parser.parse_args()
    if args.cpu_time and args.threads != 1:
        parser.error("--cpu-time is that of one thread: give -t 1")
    with tempfile.TemporaryDirectory() as folder:
        path = args.model
        if path is None:
            import make_random_gguf

            path = Path(folder) / "random.gguf"
            shape = make_random_gguf.SHAPES[args.shape]
            make_random_gguf.write(path, shape, args.type, vocab=args.vocab, pure=args.pure)
        result = measure(str(path), args)
    report(result, args.rows)
    if args.json:
        first = result["at"][min(args.context)]
        args.json.write_text(
            json.dumps(
                {
                    "schema": 1,
                    "hardware": result["hardware"],
                    "settings": {
                        "threads": args.threads,
                        "cpu_time": args.cpu_time,
                        "turns": args.turns,
                        "gpu_layers": args.gpu_layers,
                        "kv": args.kv,
                        "context": sorted(args.context),
                    },
                    "model": args.model.name if args.model else args.shape,
                    "type": args.type if args.model is None else None,
                    "threads": args.threads,
                    "rows": args.rows,
                    **{arm: first[arm] for arm in ARMS},  # of the shortest context
                    "fastest": first["fastest"],
                    "contexts": result["at"],
                    "load_seconds": result["load"],
                },
                indent=1,
            )
            + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
