#!/usr/bin/env python3
"""A model whose layers other machines compute: plain and drafted, with more and more latency on the way.

    rpc_bench.py model.gguf --server build/rpc/build/bin/ggml-rpc-server --latency 0 2 10 --json out.json

Two servers on this machine, behind relays that hold every packet back. Arms take turns, prompt by prompt. Run it with
the Python of an environment whose llama-cpp-python has RPC (``scripts/tools/build_rpc.py``).
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import statistics
import subprocess
import sys
import threading
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

from hd_edge import Llama
from hd_edge.bench.hardware import hardware
from hd_edge.model.questions import read_questions

ARMS = {"plain": "off", "auto": "auto"}


class Relay:
    """Passes on what comes, so many seconds later in each direction."""

    def __init__(self, port: int, delay: float) -> None:
        self._port, self._delay = port, delay
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near = self._listening.accept()[0]
            far = socket.create_connection(("127.0.0.1", self._port))
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        is_open = True
        while is_open or waiting:
            left = max(waiting[0][0] - monotonic(), 0.0) if waiting else None
            if is_open and select.select([source], (), (), left)[0]:
                try:
                    data = source.recv(1 << 20)
                except ConnectionResetError:
                    data = b""
                is_open = bool(data)
                if data:
                    waiting.append((monotonic() + self._delay, data))
            elif not is_open and left:
                sleep(left)
            while waiting and waiting[0][0] <= monotonic():
                target.sendall(waiting.popleft()[1])
        with suppress(OSError):  # the other end may have gone before
            target.shutdown(socket.SHUT_WR)


def serve(binary: str, threads: int, stack: ExitStack) -> int:
    """Starts a server; returns its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [binary, "--host", "127.0.0.1", "--port", str(port), "-t", str(threads)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.kill)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            sleep(0.05)
            continue
        return port


def measure(args: argparse.Namespace, latency: float) -> dict[str, Any]:
    """Seconds per token of each prompt and arm, with so many milliseconds added to a round trip."""
    prompts = [question.turns[0] for question in read_questions(built_in="prompts.txt")][: args.count]
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    texts: dict[str, list[str]] = {arm: [] for arm in ARMS}
    with ExitStack() as stack:
        models = {}
        for arm, draft in ARMS.items():
            names = [Relay(serve(args.server, 1, stack), latency / 2000).name for _ in range(args.servers)]
            settings = {"n_threads": 1, "n_threads_batch": 1, "n_ctx": 1024, "store": None, "statistics": None}
            models[arm] = stack.enter_context(Llama(args.model, draft=draft, rpc_servers=names, **settings))
        for prompt in ["Hello.", *prompts]:
            for arm, llm in models.items():
                started = perf_counter()
                answer = llm.create_chat_completion(
                    messages=[{"role": "user", "content": prompt}], max_tokens=args.predict, temperature=0.0
                )
                if prompt != "Hello.":
                    tokens = max(llm.stats.tokens, 1)
                    seconds[arm].append((perf_counter() - started - llm.stats.prompt_seconds) / tokens)
                    texts[arm].append(answer["choices"][0]["message"]["content"])
        total = models["auto"].total_stats
        ratios = [plain / auto for plain, auto in zip(seconds["plain"], seconds["auto"], strict=True)]
        return {
            "tokens_per_second": {arm: 1 / statistics.median(times) for arm, times in seconds.items()},
            "speed_up": statistics.median(ratios),
            "tokens_per_forward": total.mean_accepted_tokens,
            "identical": sum(a == b for a, b in zip(texts["plain"], texts["auto"], strict=True)) / len(prompts),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--server", required=True, metavar="BINARY", help="llama.cpp's rpc-server")
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 2, 10], help="milliseconds of a round trip")
    parser.add_argument("--count", type=int, default=8, help="prompts")
    parser.add_argument("--predict", type=int, default=64)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with Llama(args.model, store=None, statistics=None, draft="off") as llm:
        result: dict[str, Any] = {"schema": 1, "hardware": hardware(llm), "latency": {}}
    result["settings"] = {"model": Path(args.model).name, **{k: v for k, v in vars(args).items() if isinstance(v, int)}}
    for latency in args.latency:
        result["latency"][f"{latency:g}"] = made = measure(args, latency)
        print(f"{latency:g} ms", json.dumps(made), file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
