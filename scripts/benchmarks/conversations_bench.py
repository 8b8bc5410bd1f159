#!/usr/bin/env python3
"""Conversations that take turns on one server: prompt tokens computed per request, and the time to the first token.

    conversations_bench.py model.gguf --llama-server build/llama-server/bin/llama-server --json out.json

Each conversation begins with a document of its own. All are asked in turn, round after round, with the answers in the
history, so between two requests of one conversation the server has seen all the others. Ours keeps prefixes in memory
and on disk; ``llama-server`` has one slot and its prompt cache in memory, or a slot for each conversation. One server
runs at a time; the request bodies are the same.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import llama_cpp
from llama_server import Server, free_port
from long_questions import GENERATED, ROOT, documents, paragraphs
from servers import Serving, own_home

from hd_edge.bench.hardware import hardware

QUESTIONS = (
    "What is this document about?",
    "Which numbers does it name?",
    "What should a reader remember of it?",
    "What does it not say?",
)
ANSWER = 24  # tokens


def commands(args: argparse.Namespace, port: int) -> dict[str, list[str]]:
    """The servers to compare, by name."""
    serving, slots = Serving(args.model, args.threads, args.ctx_size), args.conversations
    found = {"hd-edge": serving.ours(port)}
    if args.llama_server:
        found["llama-server, one slot"] = serving.llama_server(args.llama_server, port)
        found[f"llama-server, {slots} slots"] = serving.llama_server(args.llama_server, port, slots=slots)
    return found


def ask(port: int, messages: list[dict[str, str]]) -> dict[str, Any]:
    """One streamed answer: its text, seconds to its first token and to its end, prompt tokens computed and cached."""
    body = {"messages": messages, "stream": True, "max_tokens": ANSWER, "temperature": 0.0, "cache_prompt": True}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1200)
    started = perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise SystemExit(f"status {response.status} instead of 200: {response.read()[:300]!r}")
    text, first, timings = "", 0.0, {}
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        timings = chunk.get("timings") or timings
        for choice in chunk["choices"]:
            if piece := choice["delta"].get("content"):
                first = first or perf_counter() - started
                text += piece
    return {
        "text": text,
        "first_seconds": first,
        "seconds": perf_counter() - started,
        "computed": timings["prompt_n"],
        "cached": timings["cache_n"],
    }


def converse(port: int, texts: list[str], rounds: int) -> list[dict[str, Any]]:
    """All conversations in turn, each round with another question."""
    told = [[{"role": "user", "content": f"{text}\n\n{QUESTIONS[0]}"}] for text in texts]
    made = []
    for number in range(rounds):
        for which, messages in enumerate(told):
            if number:
                messages.append({"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]})
            answer = ask(port, messages)
            messages.append({"role": "assistant", "content": answer.pop("text")})
            made.append({"round": number, "conversation": which, **answer})
    return made


def summary(made: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the requests after the first round, in which every prompt is new."""
    later = [one for one in made if one["round"]]
    whole = [one["first_seconds"] for one in made if not one["round"]]
    first = [one["first_seconds"] for one in later]
    return {
        "requests": len(later),
        "computed_per_request": statistics.mean(one["computed"] for one in later),
        "cached_per_request": statistics.mean(one["cached"] for one in later),
        "first_token_seconds": {"median": statistics.median(first), "most": max(first)},
        "first_token_seconds_new": statistics.median(whole),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--llama-server", metavar="BINARY", help="also compare this one")
    parser.add_argument("--conversations", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=1500, help="of each document")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-c", "--ctx-size", type=int, default=4096)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    llm = llama_cpp.Llama(args.model, vocab_only=True, verbose=False)
    pages = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in GENERATED)
    runs = documents(paragraphs(pages), lambda text: len(llm.tokenize(text.encode(), add_bos=False)), args.tokens)
    texts = ["\n\n".join(run) for run, _ in zip(runs, range(args.conversations), strict=False)]
    if len(texts) < args.conversations:
        raise SystemExit(f"the pages are enough for {len(texts)} documents, {args.conversations} were asked for")
    result: dict[str, Any] = {
        "schema": 1,
        "hardware": hardware(llm),
        "settings": {"model": Path(args.model).name, **{k: v for k, v in vars(args).items() if isinstance(v, int)}},
        "arms": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        for name, command in commands(args, port).items():
            with closing(Server(command, port, os.environ | own_home(folder))):
                made = converse(port, texts, args.rounds)
            result["arms"][name] = {**summary(made), "all": made}
            print(name, json.dumps(summary(made)), file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
