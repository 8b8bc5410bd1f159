"""Replay of recorded target outputs through the native drafter: what a draft would have brought, without a model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hd_edge._native import AnswerCounter, CorpusBuffer, CorpusRows, Drafter, TierCache, merge_records

MODEL, STATISTICS = 2, 3  # native tiers
STATISTICS_LEAST = 2  # how often a key of 3 tokens and more must occur
TRAIN_ROWS = 32


@dataclass
class Trace:
    """One recorded answer; ``top_ids``/``top_chances`` [n, 8] are the target's own rows where they were kept."""

    tokens: np.ndarray
    prompt: int
    group: str
    top_ids: np.ndarray | None = None
    top_chances: np.ndarray | None = None


def load_traces(path: Path) -> list[Trace]:
    """Traces with token ids (.npz: tokens, offsets, prompt_len, category and, if kept, top_ids, top_p)."""
    data = np.load(path)
    tops = (data["top_ids"], data["top_p"]) if "top_ids" in data else None
    tokens, offsets = data["tokens"], data["offsets"]
    traces = []
    for i, (a, b) in enumerate(pairwise(offsets)):
        rows = (tops[0][a:b], tops[1][a:b]) if tops else (None, None)
        traces.append(Trace(tokens[a:b], int(data["prompt_len"][i]), str(data["category"][i]), *rows))
    return traces


def text_traces(path: Path, tokenize) -> list[Trace]:
    """Traces kept as JSON lines of ``prompt`` and ``output``."""
    traces = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        prompt, output = tokenize(row["prompt"], True), tokenize(row["output"], False)
        traces.append(Trace(np.array(prompt + output, np.int32), len(prompt), "chat"))
    return traces


def model_cache(traces: list[Trace], n_vocab: int) -> TierCache:
    """The model tier after these answers, all of it in memory."""
    counter, rows = AnswerCounter(n_vocab), {}
    for trace in traces:
        for key, row in counter.rows(trace.tokens, trace.prompt):
            rows[key] = merge_records(key, rows[key], row, n_vocab)[1] if key in rows else row
    return filled(rows.items(), n_vocab)


def statistics_cache(texts: list[np.ndarray], n_vocab: int) -> TierCache:
    """The statistics tier of these texts, all of it in memory."""
    corpus = CorpusBuffer(n_vocab)
    for text in texts:
        corpus.add(text)
    with TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        corpus.spill(run)
        rows = CorpusRows([run], n_vocab, STATISTICS_LEAST, 1 << 22)
        batches = iter(lambda: rows.next(10_000), [])
        return filled(((key, row) for batch in batches for key, _, row in batch), n_vocab)


def filled(rows, n_vocab: int) -> TierCache:
    cache = TierCache(n_vocab, 1 << 40)
    for key, row in rows:
        if wrong := cache.put(key, row):
            raise SystemExit(f"row {key}: {wrong}")
    return cache


@dataclass
class Tally:
    """What a replay counted, by group."""

    tokens: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)

    def add(self, group: str, tokens: int, rows: int, cost: float) -> None:
        for table, value in ((self.tokens, tokens), (self.steps, 1), (self.rows, rows), (self.cost, cost)):
            table[group] = table.get(group, 0) + value

    def speedup(self) -> dict[str, float]:
        return {g: self.tokens[g] / self.cost[g] for g in self.tokens}

    def mean_accepted(self) -> dict[str, float]:
        return {g: self.tokens[g] / self.steps[g] for g in self.tokens}


def walk(tree, continuation: np.ndarray) -> list[int]:
    """The nodes of ``tree`` (root first) that the continuation follows."""
    path, node = [0], 0
    for token in continuation[:-1]:
        node = tree.child(node, int(token))
        if node < 0:
            break
        path.append(node)
    return path


def replay(drafter: Drafter, trace: Trace, costs: dict[int, float], tally: Tally, recycle: bool) -> None:
    """Decodes one trace as the planner would."""
    limit = max(costs)
    tokens = trace.tokens
    drafter.begin(tokens[: trace.prompt])
    at = trace.prompt
    while at < len(tokens):
        tree = drafter.grow(limit, 64)
        path = walk(tree, tokens[at:])
        emitted = tokens[at : at + len(path)]
        drafter.learn(np.array(path, np.int32), emitted)
        if recycle:
            for i, node in enumerate(path):
                drafter.recycle_row(node, trace.top_ids[at - 1 + i], trace.top_chances[at - 1 + i])
        drafter.append(emitted)
        tally.add(trace.group, len(emitted), len(tree), costs[len(tree)])
        at += len(path)
