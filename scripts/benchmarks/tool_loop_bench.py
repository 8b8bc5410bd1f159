#!/usr/bin/env python3
"""A tool loop of 20 turns over HTTP: whole requests of hd-edge serve, llama-server and llama_cpp.server, in turns.

    tool_loop_bench.py model.gguf --llama-server build/llama-server/bin/llama-server --json out.json

Every call is forced, every tool's result is scripted, the context grows. All servers run at once with the same threads
and flash attention, their prompt caches on as by default; one is asked at a time, whole loops in turns, another one
first each round. Ours begins with nothing learned. Mode ``schema`` forces the calls by a JSON schema, and all servers
read the same text. Mode ``tools`` is OpenAI's ``tool_choice``: where the model's template knows no tools, as
SmolLM2's, llama-server tells the model none and holds no call (column "sound"), llama_cpp.server holds calls and tells
none, and times do not compare.
llama_cpp.server needs ``pip install 'llama-cpp-python[server]'``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from time import perf_counter
from typing import Any

import llama_cpp
from llama_server import Server, free_port
from servers import Serving, own_home
from tool_loop import MODES, TURNS, Conversation

from hd_edge.backend.threads import physical_cores
from hd_edge.bench.hardware import hardware

OURS, PLAIN = "hd-edge", "hd-edge, no drafts"
THEIRS, NGRAM, PYTHON = "llama-server", "llama-server-ngram-mod", "llama_cpp.server"
ARMS = (OURS, PLAIN, THEIRS, NGRAM, PYTHON)


def commands(args: argparse.Namespace) -> dict[str, Callable[[int], list[str]]]:
    """The servers to compare, by name; what they get is their port."""
    serving, binary = Serving(args.model, args.threads, args.ctx_size), args.llama_server
    found: dict[str, Callable[[int], list[str]]] = {
        OURS: serving.ours,
        PLAIN: lambda port: serving.ours(port, "--no-draft"),
        THEIRS: lambda port: serving.llama_server(binary, port),
        NGRAM: lambda port: serving.llama_server(binary, port, "--spec-type", "ngram-mod"),
        PYTHON: serving.llama_cpp_server,
    }
    return {name: found[name] for name in args.arms if binary or name not in (THEIRS, NGRAM)}


def loop(server: Server, mode: str, number: int, turns: int, *, named: bool) -> dict[str, Any]:
    """One whole conversation: what each turn took."""
    conversation, made = Conversation(mode, number, named=named), []
    for turn in range(turns):
        body = conversation.body(turn)
        started = perf_counter()
        done = server.ask("/v1/chat/completions", body)
        seconds = perf_counter() - started
        usage, timings = done["usage"], done.get("timings") or {}
        told = {"seconds": seconds, "tokens": usage["completion_tokens"], "prompt_tokens": usage["prompt_tokens"]}
        told["accepted"] = timings.get("draft_n_accepted", 0)
        told["computed"], told["prompt_ms"] = timings.get("prompt_n"), timings.get("prompt_ms")
        told["sound"] = conversation.hear(turn, done["choices"][0]["message"])
        made.append(told)
    sums = {name: sum(one[name] for one in made) for name in ("seconds", "tokens", "accepted", "sound")}
    return {**sums, "prompt_tokens": made[-1]["prompt_tokens"], "turns": made}


def measure(servers: dict[str, Server], mode: str, args: argparse.Namespace) -> dict[str, Any]:
    """All rounds of one mode."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
    names = list(servers)
    end = perf_counter() + args.seconds / len(args.modes)
    for number in range(args.rounds):
        if number and perf_counter() > end:
            break
        first = number % len(names)
        for name in names[first:] + names[:first]:
            rounds[name].append(loop(servers[name], mode, number, args.turns, named=name == PYTHON))
            told = rounds[name][-1]
            print(f"{mode}, round {number}, {name}: {told['seconds']:.2f} s, {told['tokens']} tokens", file=sys.stderr)
    return {"arms": {name: {"rounds": made, **totals(made)} for name, made in rounds.items()}, "over": over(rounds)}


def totals(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of one arm over its rounds; a forward gives one token, and the accepted ones besides."""
    seconds, tokens, accepted = (sum(one[name] for one in rounds) for name in ("seconds", "tokens", "accepted"))
    return {
        "seconds": seconds,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "tokens_per_forward": tokens / (tokens - accepted),
        "sound": sum(one["sound"] for one in rounds),
        "calls": sum(len(one["turns"]) for one in rounds),
    }


def over(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, dict[str, float]]]:
    """By other arm: its time over ours of each round, whole loops and per token that was said."""
    if OURS not in rounds:
        return {}
    found = {}
    for name, theirs in rounds.items():
        pairs = list(zip(theirs, rounds[OURS], strict=True))
        whole = [other["seconds"] / ours["seconds"] for other, ours in pairs]
        token = [ratio * ours["tokens"] / other["tokens"] for ratio, (other, ours) in zip(whole, pairs, strict=True)]
        if name != OURS:
            found[name] = {"loop": spread(whole), "token": spread(token)}
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def show(result: dict[str, Any]) -> None:
    """The table a person reads."""
    for mode, found in result["modes"].items():
        print(f"{mode}: seconds of a loop, tokens, tokens/s, tokens/forward, sound calls; over ours by loop, by token")
        for name, arm in found["arms"].items():
            ratios = found["over"].get(name, {})
            told = "; ".join(f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in ratios.values())
            figures = f"{arm['seconds'] / len(arm['rounds']):6.2f} {arm['tokens']:6d} {arm['tokens_per_second']:7.1f}"
            sound = f"{arm['sound']}/{arm['calls']}"
            print(f"  {name:<22} {figures} {arm['tokens_per_forward']:5.2f} {sound}  {told}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--llama-server", metavar="BINARY", help="needed for its arms")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["schema"])
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no round after so long")
    parser.add_argument("-t", "--threads", type=int, default=physical_cores())
    parser.add_argument("-c", "--ctx-size", type=int, default=8192)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    llm = llama_cpp.Llama(args.model, vocab_only=True, verbose=False)
    settings = {"model": Path(args.model).name, "turns": args.turns, "threads": args.threads, "ctx_size": args.ctx_size}
    result: dict[str, Any] = {"schema": 1, "hardware": hardware(llm), "settings": settings, "modes": {}}
    with ExitStack() as stack:
        servers = {}
        for name, command in commands(args).items():
            home, port = stack.enter_context(tempfile.TemporaryDirectory()), free_port()
            ready = "/v1/models" if name == PYTHON else "/health"
            server = Server(command(port), port, os.environ | own_home(home), ready)
            servers[name] = stack.enter_context(closing(server))
        for server in servers.values():  # pages of the weights, the first request's work
            server.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 4})
        for mode in args.modes:
            result["modes"][mode] = measure(servers, mode, args)
    show(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
