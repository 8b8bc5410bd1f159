#!/usr/bin/env python3
"""Many clients on one server: output tokens per second in all, time to the first token, gaps between tokens.

    company_bench.py model.gguf --llama-server build/llama-server/bin/llama-server --clients 1 2 4 8 --json out.json
    company_bench.py model.gguf --llama-server ... --tokens 1500        # each prompt behind a document

Every client asks one question after the other, streamed; the questions are dealt out in the same order for each arm.
Arms: ours side by side (``--parallel``), the same without drafting, ours one after another, and ``llama-server`` with a
slot for each client. One server runs at a time; arms take turns, as often as ``--rounds`` says.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import llama_cpp
from llama_server import Server, free_port
from long_questions import GENERATED, ROOT, documents, paragraphs
from servers import Serving, own_home

from hd_edge.bench.hardware import hardware
from hd_edge.model.questions import read_questions

OURS, PLAIN, ALONE, THEIRS = "hd-edge", "hd-edge, no drafts", "hd-edge, one after another", "llama-server"


def commands(args: argparse.Namespace, clients: int, port: int) -> dict[str, list[str]]:
    """The servers to compare, by name."""
    serving = Serving(args.model, args.threads, args.ctx_size)
    side = ["-np", str(clients)] if clients > 1 else []
    found = {OURS: serving.ours(port, *side), PLAIN: serving.ours(port, *side, "--no-draft")}
    if clients > 1:
        found[ALONE] = serving.ours(port)
    if args.llama_server:
        found[THEIRS] = serving.llama_server(args.llama_server, port, slots=clients)
    return found


def ask(port: int, prompt: str, tokens: int) -> dict[str, Any]:
    """One streamed answer: its tokens, seconds to the first of them and to its end, and the gaps between chunks."""
    body = {"messages": [{"role": "user", "content": prompt}], "stream": True, "max_tokens": tokens, "temperature": 0.0}
    body["stream_options"] = {"include_usage": True}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    started = perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise SystemExit(f"status {response.status} instead of 200: {response.read()[:300]!r}")
    arrivals, made = [], 0
    for line in response:
        if line.startswith(b"data: {"):
            chunk = json.loads(line[6:])
            made = (chunk.get("usage") or {}).get("completion_tokens", made)
            if any(choice["delta"].get("content") for choice in chunk["choices"]):
                arrivals.append(perf_counter())
    connection.close()
    gaps = [after - before for before, after in pairwise(arrivals)]
    return {"tokens": made, "first": (arrivals or [perf_counter()])[0] - started, "gaps": gaps}


def crowd(port: int, prompts: list[str], clients: int, tokens: int) -> dict[str, Any]:
    """All prompts, asked by so many clients at a time."""
    ask(port, "Hello.", 4)
    started = perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        answers = list(threads.map(lambda prompt: ask(port, prompt, tokens), prompts))
    seconds = perf_counter() - started
    gaps = sorted(gap for answer in answers for gap in answer["gaps"])
    first = sorted(answer["first"] for answer in answers)
    made = sum(answer["tokens"] for answer in answers)
    return {
        "tokens": made,
        "seconds": seconds,
        "tokens_per_second": made / seconds,
        "first_token_seconds": {"median": statistics.median(first), "p95": first[int(0.95 * (len(first) - 1))]},
        "gap_seconds": {"median": statistics.median(gaps), "p95": gaps[int(0.95 * (len(gaps) - 1))]},
    }


def asked(args: argparse.Namespace, llm: llama_cpp.Llama) -> list[str]:
    """The prompts, each different."""
    found = [question.turns[0] for question in read_questions(built_in="prompts.txt")][: args.requests]
    if args.tokens:
        pages = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in GENERATED)
        count = lambda text: len(llm.tokenize(text.encode(), add_bos=False))  # noqa: E731
        runs = ["\n\n".join(run) for run in documents(paragraphs(pages), count, args.tokens)]
        found = [f"{runs[number % len(runs)]}\n\n{number}. {question}" for number, question in enumerate(found)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--llama-server", metavar="BINARY", help="also compare this one")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--requests", type=int, default=16, help="of all clients together")
    parser.add_argument("--tokens", type=int, default=0, help="of a document before each question")
    parser.add_argument("--predict", type=int, default=64, help="most tokens of an answer")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--arms", nargs="+", default=[OURS, PLAIN, ALONE, THEIRS])
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-c", "--ctx-size", type=int, default=2048)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    llm = llama_cpp.Llama(args.model, vocab_only=True, verbose=False)
    prompts = asked(args, llm)
    result: dict[str, Any] = {
        "schema": 1,
        "hardware": hardware(llm),
        "settings": {"model": Path(args.model).name, **{k: v for k, v in vars(args).items() if isinstance(v, int)}},
        "clients": {},
    }
    for clients in args.clients:
        arms: dict[str, list[dict[str, Any]]] = {}
        for _ in range(args.rounds):
            port = free_port()
            for name, command in commands(args, clients, port).items():
                if name not in args.arms:
                    continue
                with ExitStack() as stack:
                    home = stack.enter_context(tempfile.TemporaryDirectory())
                    stack.enter_context(closing(Server(command, port, os.environ | own_home(home))))
                    arms.setdefault(name, []).append(crowd(port, prompts, clients, args.predict))
                print(clients, name, json.dumps(arms[name][-1]), file=sys.stderr)
        result["clients"][clients] = arms
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
