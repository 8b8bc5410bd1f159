#!/usr/bin/env python3
"""Runs the headline arms of the report one after the other within a time, and tells which goals are met.

    headline.py out -m smol.gguf --large 7b.gguf --wide 7b-4layers.gguf --drafter smol.gguf --data data \
        --llama-server build/llama-server/bin/llama-server --minutes 40
    headline.py out ... --only tool-loop             one kind, or one file
    python scripts/report/report.py --readme --add out/*-*.json             takes them into docs/benchmarks

Each workload is a script's run and writes one file into the folder. Called again, it goes on where it stopped:
finished files are kept, unfinished ones are gone on with where their script can. The time that is left is dealt out
among those that remain, so a short run is the same report with wider intervals. All files of a folder are of one
commit.

DATA holds ``spec_bench/question.jsonl`` and ``traces/*.eval.jsonl``; without it the questions are our own, and no
answers of a 7B are replayed. Peers that are not there are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

import long_questions
from servers import own_home
from workloads import HERE, Workload, workloads

from hd_edge.bench.hardware import commit

STATE = "headline.state"
LATE, GRACE = 2.0, 60.0  # a run is ended after so many times its seconds, and so many more for loading


class State:
    """What a folder holds: which workloads are finished, and the commit that they were measured at.

    Args:
        folder: Of the files.
        now: This commit.

    Raises:
        SystemExit: The files there are of another commit.
    """

    def __init__(self, folder: Path, now: str) -> None:
        self._path = folder / STATE
        found = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        if found.get("commit", now) != now:
            raise SystemExit(f"{folder} holds files of commit {found['commit']}, this is {now}: name another folder")
        self.commit, self.seconds = now, dict(found.get("seconds", {}))

    def finish(self, name: str, seconds: float) -> None:
        """A workload is finished after so many seconds."""
        self.seconds[name] = seconds
        content = {"commit": self.commit, "seconds": self.seconds}
        self._path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def run(work: Workload, path: Path, seconds: float) -> str:
    """Runs one workload in about so many seconds.

    Returns:
        Why it failed; empty: it did not.
    """
    script, *arguments = work.command
    command = [sys.executable, str(HERE / script), *arguments, "--json", str(path)]
    if work.timed:
        command += ["--seconds", f"{seconds:.0f}"]
    if work.resumes and path.exists():
        command.append("--resume")
    with tempfile.TemporaryDirectory() as home, path.with_suffix(".log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | own_home(home))
        try:
            status = process.wait(LATE * seconds + GRACE)
        except subprocess.TimeoutExpired:
            return f"not ready after {LATE * seconds + GRACE:.0f} seconds"
        finally:
            if process.poll() is None:
                process.terminate()  # scripts that can go on leave their file
                process.wait()
    if status or not path.exists():
        return f"status {status}, see {path.with_suffix('.log')}"
    return ""


def measure(args: argparse.Namespace, wanted: list[Workload], state: State) -> list[str]:
    """Runs what is not finished, as long as the time allows; tells what failed or was left out."""
    end, missing = monotonic() + 60 * args.minutes, []
    left = [work for work in wanted if work.name not in state.seconds]
    while left:
        work = left[0]
        rest = max(end - monotonic(), 0.0)
        seconds = rest * work.minutes / sum(one.minutes for one in left) if work.timed else 60 * work.minutes
        left = left[1:]
        if seconds < args.least or seconds / 2 > rest:
            missing.append(f"{work.name}: about {seconds:.0f} s, of which {rest:.0f} are left")
            continue
        print(f"{work.name}: {seconds:.0f} s, {rest:.0f} are left ...", file=sys.stderr, flush=True)
        started = monotonic()
        if why := run(work, args.out / f"{work.name}.json", seconds):
            missing.append(f"{work.name}: {why}")
            continue
        state.finish(work.name, monotonic() - started)
        print(f"{work.name}: done after {state.seconds[work.name]:.0f} s", file=sys.stderr, flush=True)
    return missing


def told(folder: Path) -> str:
    """The goals that the files speak about, as a table."""
    sys.path.insert(0, str(HERE.parent / "report"))
    from report_data import load
    from report_goals import goals, goals_table

    return goals_table(goals(load(folder)))


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the files")
    parser.add_argument("-m", "--model", type=Path, required=True, help="small model that answers everything")
    parser.add_argument(
        "--large",
        type=Path,
        nargs="*",
        default=[],
        help="7B and 13B, perhaps of random weights: decode recorded answers",
    )
    parser.add_argument("--wide", type=Path, help="model of a 7B's width that eight clients ask, too")
    parser.add_argument("--drafter", type=Path, help="small GGUF that drafts for the large one")
    parser.add_argument("--data", type=Path, help="folder of questions and recorded answers")
    parser.add_argument("--llama-server", metavar="BINARY", help="scripts/benchmarks/build_llama_server.py makes one")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--least", type=float, default=10.0, help="seconds below which a workload is left out")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NAME", help="these files, or those whose names begin so"
    )
    args = parser.parse_args(argv)
    args.openvino = find_spec("openvino_genai") is not None
    return args


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    state = State(args.out, os.environ.get("HD_EDGE_COMMIT") or commit(HERE.parents[1] / "hd_edge"))
    questions = args.out / "long-documents.jsonl"
    if not questions.exists():
        long_questions.main([str(questions), "-m", str(args.model)])
    found = list(workloads(args, questions))
    wanted = [work for work in found if work.name in args.only]
    wanted = wanted or [work for work in found if work.name.startswith(tuple(args.only))]
    try:
        missing = measure(args, wanted, state)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130
    print(told(args.out))
    print("\n".join(missing), file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the script that runs ends, too
    sys.exit(main())
