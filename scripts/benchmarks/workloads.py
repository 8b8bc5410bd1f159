"""The workloads of the headline report: what is run, for how long, under which name."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEMPERATURES = ("0", "0.3", "0.7", "1.0")
CHATS = ("vicuna", "llama-2")  # models whose recorded answers are decoded, by how the files' names begin
PEERS = ("llama-cpp", "llama-cpp-pld")
SERVERS = ("llama-server-plain", "llama-server-ngram-mod")
OTHERS = ("openvino-plain", "openvino-lookup")


@dataclass(frozen=True)
class Workload:
    """One program's run.

    Attributes:
        name: Of its file, which begins with a kind that the report knows.
        minutes: Its part of a run of 40 minutes.
        command: Script and arguments.
        timed: The script takes ``--seconds`` and ends by itself; others take what they take.
        resumes: The script goes on with its file if it gets ``--resume``.
    """

    name: str
    minutes: float
    command: tuple[str, ...]
    timed: bool = False
    resumes: bool = False


def workloads(args: Namespace, long_questions: Path) -> Iterator[Workload]:
    """All that the given files allow, the dearest promises first.

    Args:
        args: ``model``, ``large`` (7B and 13B files), ``wide``, ``drafter``, ``data`` (a folder with Spec-Bench's
            questions and recorded answers) and ``llama_server``, or None; ``openvino``: whether it is installed.
        long_questions: File that ``long_questions.py`` writes.
    """
    of, model = args.model.stem.lower(), str(args.model)
    questions = [str(args.data / "spec_bench" / "question.jsonl")] if args.data else []
    server = ["--server-binary", args.llama_server] if args.llama_server else []
    beside = ["--llama-server", args.llama_server] if args.llama_server else []
    servers = SERVERS if args.llama_server else ()
    others = OTHERS if args.openvino else ()
    spec, short = ("spec_bench.py", "-m", model), ("--turns", "1", "-n", "128")

    def asked(name: str, minutes: float, *command: str) -> Workload:
        return Workload(name, minutes, (*spec, *command), timed=True, resumes=True)

    arms = ("--arms", "plain", "auto", *PEERS, *servers, *others)
    yield asked(f"spec-bench-{of}", 7, *questions, *short, "--questions", "12", *arms, *server)
    arms = ("--arms", "plain", "auto", "llama-cpp", *servers[:1])
    yield asked(f"spec-bench-{of}-long", 3.5, str(long_questions), *short, "--questions", "20", *arms, *server)
    for large in args.large if args.data else ():
        size = "13b" if "13b" in large.stem.lower() else "7b"
        chats = _chats(args.data, size)
        drafter = ["--drafter", str(args.drafter)] if args.drafter else []
        history = _chats(args.data, size, "history") if drafter else []
        before, warm = (["--history", *history], ["auto-warm-drafter"]) if history else ([], [])
        told = ("-m", str(large), "--traces", *chats, *before, "--arms", "plain", "auto", *warm, *drafter)
        command = ("trace_bench.py", *told, "--answers", "16", "--tokens", "96")
        yield Workload(f"trace-bench-{large.stem.lower()}-chat", 8, command, timed=True, resumes=True)
    for temperature in TEMPERATURES:
        cold = ("--turns", "1", "-n", "64", "--questions", "60", "--arms", "plain", "auto", "--cold")
        yield asked(f"spec-bench-{of}-cold-t{temperature}", 2.5, *questions, *cold, "--temperature", temperature)
    rounds = ("tool_loop_bench.py", model, *beside, "--rounds", "5")
    yield Workload(f"tool-loop-{of}", 4, rounds, timed=True)
    yield Workload(
        f"company-{of}", 1, ("company_bench.py", model, *beside, "--clients", "8", "--requests", "24", "--rounds", "3")
    )
    if args.wide:
        few = ("--clients", "8", "--requests", "16", "--predict", "32", "--rounds", "2")
        crowd = ("company_bench.py", str(args.wide), *beside, *few)
        yield Workload(f"company-{args.wide.stem.lower()}", 0.75, crowd)
    yield Workload(f"edit-bench-{of}", 0.75, ("edit_bench.py", "-m", model, "-n", "12"))
    busy = ("--loads", "0", "1", "2", "--arms", "llama-cpp:2", "plain:auto", "drafted:1", "drafted:2", "drafted:auto")
    yield Workload(f"busy-{of}", 2, ("busy_bench.py", "-m", model, *busy, "-r", "5", "-n", "64"))
    yield Workload(
        f"prefix-{of}", 0.5, ("prefix_bench.py", model, "--prefixes", "500", "2000", "3500", "--rounds", "2")
    )
    others_say = _chats(args.data, "7b")[:1] if args.data else []
    foreign = ["--foreign", *others_say] if others_say else ["--cases", "random", "no-repeats", "nonsense"]
    yield Workload(f"adversarial-{of}", 1, ("adversarial_bench.py", "-m", model, "--tokens", "2000", *foreign))


def _chats(data: Path, size: str, kind: str = "eval") -> list[str]:
    """Files of answers that models of that size gave; ``history``: to other prompts."""
    files = [file for name in CHATS for file in sorted((data / "traces").glob(f"{name}-{size}*.{kind}.jsonl"))]
    return [str(file) for file in files]
