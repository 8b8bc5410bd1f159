#!/usr/bin/env python3
"""Tries OpenAI's API with the clients that people use, and writes what works into a table of docs/server.md.

    hd-edge serve -m demo --port 8080 &
    client_table.py http://127.0.0.1:8080            # prints the table
    client_table.py http://127.0.0.1:8080 --write    # and puts it into docs/server.md

Each cell is a call to the running server. It needs nothing of hd_edge; clients that are not installed in this Python
have no column: pip install openai langchain-openai litellm instructor llama-index-llms-openai-like
(LiteLLM's tools need mcp, too.)
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from client_calls import Cells, with_instructor, with_langchain, with_litellm, with_llama_index, with_openai

PAGE = Path(__file__).resolve().parents[2] / "docs" / "server.md"
BEGIN, END = "<!-- clients: scripts/tools/client_table.py -->\n", "<!-- end of clients -->\n"
FEATURES = (
    "chat", "parts of content", "stream", "usage in a stream", "asyncio", "called tool", "streamed call",
    "answer to a call", "responses", "JSON schema", "log probabilities", "several choices", "models", "mistakes",
)  # fmt: skip

CLIENTS = (
    ("openai", "openai", with_openai),
    ("LangChain", "langchain-openai", with_langchain),
    ("LiteLLM", "litellm", with_litellm),
    ("instructor", "instructor", with_instructor),
    ("LlamaIndex", "llama-index-llms-openai-like", with_llama_index),
)


def column(package: str, make: Callable[[str], Cells], url: str) -> tuple[str, dict[str, str]]:
    """Version of a client, and what its cells say; empty if it is not installed."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "", {}
    said = {}
    for feature, call in make(url).items():
        said[feature] = "yes" if works(f"{package}, {feature}", call) else "no"
    return version, said


def works(name: str, call: Callable[[], bool]) -> bool:
    """Makes a call; whatever a client raises is an answer, too."""
    try:
        return call()
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False


def table(url: str) -> str:
    """The whole table as Markdown."""
    columns = [(name, *column(package, make, url)) for name, package, make in CLIENTS]
    columns = [one for one in columns if one[1]]
    model = httpx.get(f"{url}/v1/models").json()["data"][0]["id"]
    lines = [f"Calls made with `{model}`; an empty cell: the client has no such thing, or it is not tried.", ""]
    lines += ["| | " + " | ".join(f"{name} {version}" for name, version, _ in columns) + " |"]
    lines += ["|---" * (len(columns) + 1) + "|"]
    for feature in FEATURES:
        lines.append(f"| {feature} | " + " | ".join(said.get(feature, "") for _, _, said in columns) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Prints the table, or writes it into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # nothing but the server is asked
    made = table(given.url.rstrip("/"))
    print(made)
    if given.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(before + BEGIN + made + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
