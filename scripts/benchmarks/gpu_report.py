#!/usr/bin/env python3
"""Measures hd_edge on a GPU in one command and under 20 minutes, on a machine without network.

    gpu_report.py pack --sdist llama_cpp_python-0.3.36 --traces traces/*.jsonl --out carried      where there is network
    gpu_report.py run --carried carried --out results                                            where the GPU is
    gpu_report.py run --device cpu --shape tiny --traces folder --out results                    to try the script

``run`` builds llama.cpp with CUDA and hd_edge from the carried sources, writes random-weight models of 7B and 13B
(Q4_0 and Q4_K_M), measures T(n) for 1 to 63 rows at several context lengths, replays recorded answers with all arms,
counts where drafted text differs from plain text in default mode, and writes ``report.json``, plots, and ``report.md``,
whose every figure stands in ``report.json``. ``--device cpu`` uses the installed packages and builds nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import gpu_build
from gpu_build import say

HERE = Path(__file__).resolve().parent
SHAPES = {  # name -> (shape of make_random_gguf, files of recorded answers)
    "7b": ("llama-2-7b", "*7b*"),
    "13b": ("llama-2-13b", "*13b*"),
    "tiny": ("tiny", "*"),
}
TYPES = ("Q4_0", "Q4_K_M")
ARMS = ("plain", "llama-cpp", "llama-cpp-pld", "paper", "auto", "auto-warm")
SHARES = {"cost": 0.3, "traces": 0.5, "check": 0.2}  # of the time that is left for a model


class Runner:
    """Runs the measuring scripts, each in a process of its own, and keeps their JSON.

    Args:
        out: Folder of the results.
        site: Folder for PYTHONPATH; None: the installed packages.
        card: Name of the GPU; empty: none.
        threads: Threads of llama.cpp; 0: physical cores.
    """

    def __init__(self, out: Path, site: Path | None, card: str, threads: int) -> None:
        self.out = out
        self.common = ["-ngl", "-1" if card else "0"] + (["-t", str(threads)] if threads else [])
        self.environment = {**os.environ, "HD_EDGE_GPU_NAME": card, "HD_EDGE_HOME": str(out / "home")}
        self.environment.setdefault("HD_EDGE_COMMIT", gpu_build.commit())
        self.paths = [str(HERE)] + ([str(site)] if site else [])
        self.environment["PYTHONPATH"] = os.pathsep.join([*self.paths, os.environ.get("PYTHONPATH", "")]).strip(
            os.pathsep
        )
        self.seconds: dict[str, float] = {}
        self.failed: dict[str, str] = {}

    def json(self, name: str, command: list[str], limit: float) -> dict[str, Any]:
        """The JSON file that a command writes with ``--json``; empty if it failed or ran past ``limit`` seconds."""
        path, started = self.out / f"{name}.json", perf_counter()
        say(f"{name} ...")
        try:
            done = subprocess.run(
                [sys.executable, *command, *self.common, "--json", str(path)],
                env=self.environment,
                cwd=self.out,  # in the repository, ``-c`` would import the sources there
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.failed[name] = f"not ready after {limit:.0f} seconds"
        else:
            if done.returncode or not path.exists():
                self.failed[name] = "\n".join(done.stderr.splitlines()[-15:]) or f"exit code {done.returncode}"
        self.seconds[name] = perf_counter() - started
        if name in self.failed:
            say(f"{name} failed: {self.failed[name]}")
            return {}
        return json.loads(path.read_text())  # type: ignore[no-any-return]


def write_model(path: Path, shape: str, kind: str, vocabulary: Path | None, environment: dict[str, str]) -> Path:
    command = [sys.executable, str(HERE / "make_random_gguf.py"), shape, kind, str(path)]
    subprocess.run(
        [*command, *(["--vocab", str(vocabulary)] if vocabulary else [])],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return path


def measure_model(
    runner: Runner, name: str, model: Path, files: list[Path], args: Any, seconds: float
) -> dict[str, Any]:
    """All measurements of one model, within about ``seconds``."""
    limit = {part: seconds * share for part, share in SHARES.items()}
    traces = [str(file) for file in files if file.name.endswith(".eval.jsonl")]
    history = [str(file) for file in files if file.name.endswith(".history.jsonl")]
    tokens = str(args.tokens)
    cost = ["verify_cost.py", "--contexts", *map(str, args.contexts), "--rows", args.rows]
    cost += ["--seconds", str(limit["cost"] / len(args.contexts))]
    replay = ["trace_bench.py", "--traces", *traces, "--history", *history, "--arms", *args.arms]
    replay += ["--answers", str(args.answers), "--tokens", tokens, "--seconds", str(limit["traces"])]
    check = ["-c", "from hd_edge.cli import main; main()", "check", "--mode", "default", "--seeds", "0"]
    check += ["--limit", str(args.prompts), "-n", tokens]
    result: dict[str, Any] = {"bytes": model.stat().st_size}
    for part, command in (("cost", cost), ("traces", replay), ("check", check)):
        script = [str(HERE / command[0]), *command[1:]] if command[0].endswith(".py") else command
        result[part] = runner.json(f"{name}-{part}", [*script, "-m", str(model)], 2 * limit[part] + 60)
    if result["check"]:
        result["check"]["settings"]["model"] = model.name  # as the others say it: the report names no folder
    return result


def run(args: argparse.Namespace) -> int:
    started = perf_counter()
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    work = (args.work or args.out / "work").resolve()
    work.mkdir(parents=True, exist_ok=True)
    card, site, times = "", None, {}
    vocabulary = traces = None
    if args.carried:
        vocabulary, traces = args.carried / "vocab.gguf", args.carried / "traces"
        os.environ.setdefault("HD_EDGE_COMMIT", (args.carried / "commit").read_text().strip())
    traces = args.traces or traces
    traces = traces and traces.resolve()
    if traces is None or not any(traces.glob("*.eval.jsonl")):
        raise SystemExit("no recorded answers: --carried, or --traces FOLDER with files named *.eval.jsonl")
    kinds = [(name, kind) for name in args.shape for kind in args.type]
    if args.device == "cuda":
        card = gpu_build.graphics_card()
        if not card:
            raise SystemExit("nvidia-smi shows no GPU: --device cpu tries the script without one")
        site = gpu_build.install_wheels(args.carried, work)
    runner = Runner(args.out, site, card, args.threads)
    with ThreadPoolExecutor(1) as models:  # written while llama.cpp builds
        written = {
            (name, kind): models.submit(
                write_model, work / f"random-{name}-{kind}.gguf", SHAPES[name][0], kind, vocabulary, runner.environment
            )
            for name, kind in kinds
        }
        if site is not None:
            libraries = args.lib
            if libraries is None:
                say("building llama.cpp ...")
                libraries, times["build llama.cpp"] = gpu_build.build_llama(
                    args.carried, work, args.architectures, args.jobs
                )
            gpu_build.complete_site(site, args.carried, work, libraries)
        results: dict[str, Any] = {}
        for number, (name, kind) in enumerate(kinds):
            model = written[name, kind].result()
            left = args.minutes * 60 - (perf_counter() - started)
            files = sorted(traces.glob(SHAPES[name][1] + ".jsonl"))
            share = max(left, 0.0) / (len(kinds) - number)
            results[f"{name}-{kind}"] = measure_model(runner, f"{name}-{kind}", model, files, args, share)
            model.unlink()
    measured = next((part for model in results.values() for part in (model["cost"], model["traces"]) if part), None)
    report = {
        "schema": 1,
        "hardware": measured["hardware"] if measured else {"gpu": card},
        "seconds": {"all": perf_counter() - started, **times, **runner.seconds},
        "failed": runner.failed,
        "models": results,
    }
    gpu_build.write_json(args.out / "report.json", report)
    sys.path[:0] = runner.paths  # hd_edge was built there
    import gpu_tables

    gpu_tables.write(report, args.out)
    say((args.out / "report.md").read_text())
    return 1 if runner.failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack", help="make the folder to carry")
    packing.add_argument("--sdist", type=Path, required=True, help="llama-cpp-python's source distribution, unpacked")
    packing.add_argument("--traces", type=Path, nargs="+", required=True, help="files of recorded answers")
    packing.add_argument("--out", type=Path, required=True)
    packing.add_argument("--python", default="3.12", help="version of the other machine's Python")
    running = verbs.add_parser("run", help="build and measure")
    running.add_argument("--carried", type=Path)
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--work", type=Path, help="for builds and models, 30 GB; default: a folder in --out")
    running.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    running.add_argument("--lib", type=Path, help="libraries of llama.cpp that are already built")
    running.add_argument("--architectures", default="native", help="CMAKE_CUDA_ARCHITECTURES")
    running.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    running.add_argument("--shape", nargs="+", choices=SHAPES, default=["7b", "13b"])
    running.add_argument("--type", nargs="+", choices=TYPES, default=list(TYPES))
    running.add_argument("--traces", type=Path, help="folder of recorded answers; default: those carried")
    running.add_argument("--contexts", type=int, nargs="+", default=[64, 512, 1900, 3900])
    running.add_argument("--rows", default="1-63")
    running.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    running.add_argument("--tokens", type=int, default=128)
    running.add_argument("--prompts", type=int, default=20, help="of the count of differences")
    running.add_argument("-t", "--threads", type=int, default=0)
    running.add_argument("--minutes", type=float, default=19.0, help="for everything")
    for verb in (packing, running):
        verb.add_argument("--answers", type=int, default=20, help="of each file of recorded answers")
    args = parser.parse_args()
    if args.verb == "pack":
        gpu_build.pack(args.sdist, args.traces, args.out, python=args.python, answers=args.answers)
        return 0
    if args.device == "cuda" and not args.carried:
        parser.error("run --device cuda builds from a carried folder: --carried")
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
