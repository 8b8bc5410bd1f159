#!/usr/bin/env python3
"""Questions of Spec-Bench, answered by every way of decoding there is, in turns.

    spec_bench.py -m model.gguf question.jsonl --questions 10 --json out.json

All arms answer a question before the next is asked, each time another arm first; the same threads, flash attention, KV
type, prompt and sampling for all, the KV cache empty before each answer. Speed-ups are against `plain`: medians of the
time per token, the prompt's own forward left out, with bootstrap intervals over questions. Second turns continue with
the first answer of `plain` for all arms.

Arms:
{arms}
  llama-server-...  llama.cpp's own server, plain, with a draftless mode, or with a draft model ({modes}): needs
                    --server-binary, and draft-simple --draft-model
  openvino-...      OpenVINO GenAI on the same file, plain or with its prompt lookup (plain, lookup): needs its package

`auto`, `paper` begin with empty stores and learn from one answer to the next; what they learned goes on with --resume.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from llama_server import DRAFT_MODEL, PREFIX, LlamaServer
from llama_server import NAMES as SERVER_NAMES
from openvino_arm import NAMES as OPENVINO_NAMES
from openvino_arm import OpenVino

from hd_edge.backend.threads import physical_cores
from hd_edge.bench.arm import WARM_UP_MESSAGES, Arm, Settings
from hd_edge.bench.arms import ARMS, KV_TYPES, Arms, Tiers
from hd_edge.bench.drafted import Drafted
from hd_edge.bench.hardware import hardware, model_file
from hd_edge.bench.summary import bounds, decode_time, summarise
from hd_edge.bench.table import table, title
from hd_edge.bench.turns import Record, Results, run
from hd_edge.model.questions import Question, per_category, read_prompts, read_questions

# Spec-Bench reports its MT-Bench categories as one group.
CONVERSATION = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
DEFAULT = ("plain", "llama-cpp", "llama-cpp-pld", "paper", "auto", "auto-warm")
TEMPLATE = 64  # tokens that a chat template may add
GAP = "\n...\n"  # where a long prompt was cut


def grouped(question: Question) -> Question:
    """The question in its group of Spec-Bench."""
    return replace(question, category="conversation") if question.category in CONVERSATION else question


def fitted(question: Question, llm: Any, settings: Settings) -> Question:
    """The question, its longest turn without its middle where conversation and answers exceed the context."""
    turns = list(question.turns)
    ids = [llm.tokenize(turn.encode(), add_bos=False, special=False) for turn in turns]
    excess = sum(map(len, ids)) + len(turns) * (settings.max_tokens + TEMPLATE) - settings.n_ctx
    if excess <= 0:
        return question
    longest = max(range(len(turns)), key=lambda turn: len(ids[turn]))
    half = (len(ids[longest]) - excess - len(GAP)) // 2
    if half < 1:
        raise SystemExit(f"question {question.name} does not fit {settings.n_ctx} tokens of context: raise -c")
    parts = [llm.detokenize(part).decode(errors="ignore") for part in (ids[longest][:half], ids[longest][-half:])]
    turns[longest] = GAP.join(parts)
    return replace(question, turns=tuple(turns))


def make_arm(name: str, arms: Arms, args: argparse.Namespace) -> Arm:
    """An arm by its name."""
    if name.startswith(PREFIX):
        binary = args.server_binary
        if binary is None:
            raise SystemExit(f"arm {name} needs --server-binary (scripts/benchmarks/build_llama_server.py makes one)")
        return LlamaServer(name, binary, arms.llm, arms.settings, args.draft_model)
    return OpenVino(name, arms.llm, arms.settings) if name in OPENVINO_NAMES else arms.make(name)


def tell(done: int, total: int, record: Record | None) -> None:
    """One line per answered turn."""
    if record is not None:
        times = {name: decode_time(answer) for name, answer in record.answers.items()}
        speeds = ", ".join(f"{name} {1 / seconds:.1f}" for name, seconds in times.items() if seconds)
        print(f"{done}/{total} {record.category} {record.question} turn {record.turn}: t/s {speeds}", file=sys.stderr)


def details(summary: dict[str, Any]) -> list[str]:
    """A line per arm with what the table has no column for."""
    lines = []
    for arm, sums in summary["arms"].items():
        lookups = sum(sums["lookups_by_tier"].values()) / sums["answers"]
        ratios = summary["speedup"][arm]
        told = ""
        if ratios["overall"]:
            found, request = ratios["overall"], ratios["request"]["overall"]
            told = (
                f", all time by all time {found['total']:.2f} ({bounds(found, 'total_') or 'one question'})"
                f", whole requests {request['median']:.2f} ({bounds(request) or 'one question'})"
            )
        drafting = f"drafting {sums['draft_share']:.1%} of the forwards' time"
        lines.append(f"{arm}: {drafting}, {lookups:.1f} look-ups per answer{told}")
    return lines


def arguments(argv: list[str] | None) -> argparse.Namespace:
    described = "\n".join(f"  {name:<16}  {what}" for name, what in ARMS.items())
    modes = ", ".join(name.removeprefix(PREFIX) for name in SERVER_NAMES)
    about = (__doc__ or "").format(arms=described, modes=modes)
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="Spec-Bench's question.jsonl; default: a set of our own")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, *SERVER_NAMES, *OPENVINO_NAMES], metavar="ARM")
    parser.add_argument("--questions", type=int, default=10, help="of each group, evenly spread (default 10)")
    parser.add_argument("--turns", type=int, choices=(1, 2), default=2)
    parser.add_argument("-n", "--tokens", type=int, default=128, help="most tokens of an answer")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-c", "--ctx", type=int, default=4096, help="longer prompts lose their middle")
    parser.add_argument("-t", "--threads", type=int, default=physical_cores())
    parser.add_argument("-ngl", "--gpu-layers", type=int, default=0)
    parser.add_argument("--type-kv", choices=sorted(KV_TYPES), default="f16")
    parser.add_argument(
        "--no-row-kernels", dest="row_kernels", action="store_false", help="llama.cpp's own, in all arms"
    )
    parser.add_argument("--warm-store", type=Path, help="auto-warm begins with a copy (hd-edge db build-model)")
    parser.add_argument(
        "--warm-prompts", type=Path, help="or with answers to these, made beforehand; lines or JSON lines"
    )
    parser.add_argument("--warm-limit", type=int, help="only the first of them")
    parser.add_argument("--statistics", type=Path, help="file of a statistics tier, for all drafting arms")
    parser.add_argument("--drafter", metavar="MODEL", help="small GGUF of auto-drafter, or 'demo'; adds that arm")
    parser.add_argument("--server-binary", type=Path, help="llama-server, for arms of that name")
    parser.add_argument(
        "--draft-model", type=Path, help="for llama-server-draft-simple; its vocabulary is the target's"
    )
    parser.add_argument("--cold", action="store_true", help="drafting arms measure what rows cost while they answer")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="ask nothing more after so long")
    parser.add_argument("--json", type=Path, help="figures and answers; learned stores stay beside it in FILE.stores")
    parser.add_argument("--resume", action="store_true", help="go on with what --json has")
    args = parser.parse_args(argv)
    if args.resume and not args.json:
        parser.error("--resume goes on with the file of --json: name it")
    warm = args.warm_store is not None or args.warm_prompts is not None
    if args.arms is None:
        args.arms = [name for name in DEFAULT if warm or name != "auto-warm"]
    elif "auto-warm" in args.arms and not warm:
        parser.error("auto-warm needs --warm-store or --warm-prompts")
    if args.drafter and "auto-drafter" not in args.arms:
        args.arms.append("auto-drafter")
    elif "auto-drafter" in args.arms and not args.drafter:
        parser.error("auto-drafter needs --drafter")
    if args.draft_model and PREFIX + DRAFT_MODEL not in args.arms:
        args.arms.append(PREFIX + DRAFT_MODEL)
    if "plain" not in args.arms:
        args.arms.insert(0, "plain")
    return args


def settings_of(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """What a run depends on; it can be resumed only with the same."""
    files = ("warm_store", "warm_prompts", "statistics", "draft_model")
    return {
        "model": Path(args.model).name,
        **asdict(settings),
        "file": args.file.name if args.file else "built-in",
        "questions": args.questions,
        "turns": args.turns,
        "arms": args.arms,
        **{name: getattr(args, name).name if getattr(args, name) else None for name in files},
        "drafter": Path(args.drafter).name if args.drafter else None,
        "cold": args.cold,
    }


def begin(args: argparse.Namespace, settings: dict[str, Any], stores: Path | None) -> Results:
    """Nothing, or what an earlier run has."""
    if args.resume and args.json.exists():
        before = json.loads(args.json.read_text(encoding="utf-8"))
        if before["settings"] | {"questions": settings["questions"]} != settings:
            raise SystemExit(f"{args.json} was made with other settings: {before['settings']}, not {settings}")
        return Results([Record.from_dict(row) for row in before["answers"]], before["skipped"])
    if stores is not None and stores.exists():
        shutil.rmtree(stores)
    return Results()


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    settings = Settings(
        max_tokens=args.tokens,
        temperature=args.temperature,
        seed=args.seed,
        n_ctx=args.ctx,
        n_threads=args.threads,
        n_gpu_layers=args.gpu_layers,
        type_kv=args.type_kv,
        row_kernels=args.row_kernels,
    )
    told = settings_of(args, settings)
    stores = args.json.with_suffix(".stores") if args.json else None
    results = begin(args, told, stores)
    if stores is not None:
        stores.mkdir(parents=True, exist_ok=True)
    prompts = tuple(read_prompts(args.warm_prompts)[: args.warm_limit]) if args.warm_prompts else ()
    tiers = Tiers(
        args.warm_store,
        warm_prompts=prompts,
        statistics=args.statistics,
        drafter=args.drafter,
    )
    questions = per_category([grouped(question) for question in read_questions(args.file)], args.questions)
    questions = [replace(question, turns=question.turns[: args.turns]) for question in questions]
    code = 0
    with ExitStack() as stack:
        arms = stack.enter_context(closing(Arms(args.model, settings, tiers, folder=stores, progress=learning)))
        whole, questions = questions, [fitted(question, arms.llm, settings) for question in questions]
        cut = [question.name for question, before in zip(questions, whole, strict=True) if question != before]
        print(f"{len(cut)} of {len(questions)} questions were cut to fit the context", file=sys.stderr)
        made = [stack.enter_context(closing(make_arm(name, arms, args))) for name in args.arms]
        for arm in made:
            if not (args.cold and isinstance(arm, Drafted) and arm.hierarchy is not None):
                arm.warm_up(arms.tokenize(WARM_UP_MESSAGES), settings)
        try:
            run(made, questions, settings, arms.tokenize, tell, results=results, seconds=args.seconds)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            code = 130
        if not results.records:
            raise SystemExit(code or "no question was answered: --seconds is too short, or none fits the context")
        about = {"hardware": hardware(arms.llm), "model": model_file(arms.llm), "settings": told, "cut": cut}
        summary = summarise(results, **about)
    if args.json:
        args.json.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n".join([title(summary), "", *table(summary), "", *details(summary)]))
    return code


def learning(done: int, total: int) -> None:
    """Progress of the answers that auto-warm learns beforehand."""
    if done % 10 == 0 or done == total:
        print(f"auto-warm has learned {done} of {total} answers", file=sys.stderr)


if __name__ == "__main__":
    for end in (signal.SIGINT, signal.SIGTERM):  # both leave a file behind, also in a background job
        signal.signal(end, signal.default_int_handler)
    sys.exit(main())
