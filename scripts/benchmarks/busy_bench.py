"""Decoding while other programs take the cores: llama_cpp.Llama and hd_edge, plain and drafted, by number of threads.

Every arm is a process of its own. Within a load all arms take turns, prompt by prompt, so drift hits all alike; the
others sleep meanwhile. The competitors are started here and always stopped: busy loops, and "nice10", four jobs at
nice 10 that compress blocks of memory, as a compiler in the background does.

Usage: busy_bench.py [-m MODEL] [--loads 0 1 2 4 nice10] [--arms ARM ...] [-r ROUNDS] [-n TOKENS] [--json FILE]
An arm is PROGRAM:THREADS with llama-cpp, plain or drafted, and a number or "auto", as in "plain:auto"; a suffix
"+NAME=VALUE" sets an environment variable for it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 300  # of a prompt: in long contexts llama.cpp's attention needs a fixed number of threads
LOADS = ("0", "1", "2", "4", "nice10")
PROGRAMS = ("llama-cpp", "plain", "drafted")
# A competitor ends with its parent, however that ends.
BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(100000): pass"
COMPILER = (
    "import os, zlib; os.nice(10); parent = os.getppid(); block = os.urandom(1 << 20) * 2\n"
    "while os.getppid() == parent:\n    zlib.compress(block, 6)"
)


@contextmanager
def competitors(load: str) -> Iterator[None]:
    """The programs of one load, running inside the block."""
    code, count = (COMPILER, 4) if load == "nice10" else (BUSY, int(load))
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", code])
            stack.callback(process.wait)
            stack.callback(process.kill)
        if count:
            time.sleep(0.5)  # until they are really running
        yield


class Arm:
    """One program in a process of its own, which answers one prompt whenever it is told to.

    Attributes:
        hardware: What its process says of the machine.
    """

    def __init__(self, name: str, model: str) -> None:
        kind, *environment = name.split("+")
        self.name = name
        command = [sys.executable, __file__, "--worker", kind, "-m", model]
        env = os.environ | dict(item.split("=", 1) for item in environment)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.hardware = self._answer()

    def turn(self, prompt: str, tokens: int) -> dict[str, Any]:
        """Answers a prompt.

        Returns:
            ``tokens`` and ``seconds`` of decoding, ``prompt_seconds``, and ``threads`` of the last forward.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([prompt, tokens]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            message = f"arm {self.name} ended with exit code {self.process.wait()}"
            raise SystemExit(message)
        return dict(json.loads(answer))

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()


def work(kind: str, model: str) -> None:
    """The process of one arm: a prompt per line on stdin, what it took per line on stdout."""
    import llama_cpp

    from hd_edge import Llama
    from hd_edge.bench.hardware import hardware

    program, threads = kind.split(":")
    settings: dict[str, Any] = {"n_ctx": 2048, "flash_attn": True, "verbose": False}
    if threads != "auto":
        settings |= {"n_threads": int(threads), "n_threads_batch": int(threads)}
    llm: llama_cpp.Llama
    if program == "llama-cpp":
        llm = llama_cpp.Llama(model, **settings)
    else:
        llm = Llama(
            model,
            draft="off" if program == "plain" else "auto",
            store=None,
            statistics=None,
            prefix_cache=None,
            **settings,
        )
    print(json.dumps(hardware(llm)), flush=True)
    for line in sys.stdin:
        prompt, count = json.loads(line)
        text = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        ids = llm.tokenize(text.encode(), special=True)
        started = time.perf_counter()
        generation = llm.generate(ids, temp=0.0)
        next(generation)
        first = time.perf_counter()
        tokens = 0
        for _ in generation:
            tokens += 1
            if tokens >= count:
                break
        seconds = time.perf_counter() - first
        used = llama_cpp.llama_n_threads(llm.ctx)
        generation.close()
        print(
            json.dumps({"tokens": tokens, "seconds": seconds, "prompt_seconds": first - started, "threads": used}),
            flush=True,
        )


def measure(load: str, arms: list[Arm], prompts: list[str], tokens: int) -> dict[str, Any]:
    """One load: tokens per second of every arm, over its answers to all of these prompts."""
    turns: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in arms}
    with competitors(load):
        for number, prompt in enumerate(prompts):
            order = arms[number % len(arms) :] + arms[: number % len(arms)]
            for arm in order:
                time.sleep(0.1)  # the threads of the arm before spin for a while
                turns[arm.name].append(arm.turn(prompt, tokens))
    return {
        name: {
            "tokens_per_second": sum(t["tokens"] for t in done) / sum(t["seconds"] for t in done),
            "median": statistics.median(t["tokens"] / t["seconds"] for t in done),
            "prompt_seconds": statistics.median(t["prompt_seconds"] for t in done),
            "threads": [t["threads"] for t in done],
        }
        for name, done in turns.items()
    }


def compare(result: dict[str, Any]) -> dict[str, float]:
    """Of each program: tokens/s with its own choice of threads, over the best of its fixed numbers."""
    out = {}
    for name, told in result.items():
        program, threads = name.split(":", 1)
        fixed = [r["tokens_per_second"] for n, r in result.items() if n.split(":")[0] == program and "auto" not in n]
        if threads.startswith("auto") and fixed:
            out[name] = told["tokens_per_second"] / max(fixed)
    return out


def main() -> None:
    from hd_edge.backend.threads import physical_cores
    from hd_edge.model.demo import demo_model
    from hd_edge.model.questions import read_prompts

    cores = physical_cores()
    numbers = [str(n) for n in sorted({max(cores - 1, 1), cores})]
    arms = [f"{program}:{n}" for program in PROGRAMS for n in (*numbers, *(["auto"] if program != "llama-cpp" else []))]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="demo")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=LOADS)
    parser.add_argument("--arms", nargs="+", default=arms)
    parser.add_argument("-r", "--rounds", type=int, default=8)
    parser.add_argument("-n", "--tokens", type=int, default=96)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    model = str(demo_model()) if options.model == "demo" else options.model
    if options.worker:
        work(options.worker, model)
        return
    results: dict[str, Any] = {}
    with ExitStack() as stack:
        running = [Arm(name, model) for name in options.arms]
        for arm in running:
            stack.callback(arm.close)
        for arm in running:
            arm.turn("Tell me about the sea.", 32)  # loading, and the cost of a row
        prompts = itertools.cycle(p for p in read_prompts() if len(p) < MOST_CHARACTERS)
        for load in options.loads:
            results[load] = measure(load, running, list(itertools.islice(prompts, options.rounds)), options.tokens)
            for name, told in results[load].items():
                threads = ",".join(map(str, told["threads"]))
                print(
                    f"{load:>6} {name:<16} {told['tokens_per_second']:7.1f} tokens/s, median {told['median']:6.1f}, "
                    f"prompts {told['prompt_seconds']:.3f} s, threads {threads}",
                    flush=True,
                )
            for name, share in compare(results[load]).items():
                print(f"{load:>6} {name:<16} {100 * share:5.0f} % of the best number of threads", flush=True)
    if options.json:
        report = {
            "schema": 1,
            "hardware": running[0].hardware,
            "settings": {"model": Path(model).name, "rounds": options.rounds, "tokens": options.tokens},
            "loads": results,
            "of_best": {load: compare(result) for load, result in results.items()},
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
