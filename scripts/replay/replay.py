"""Replay of recorded target outputs through the planner: what drafting would have brought, without a model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from reliability import Reliability

from hd_edge._native import AnswerCounter, CorpusBuffer, CorpusRecords, TierCache, merge_records
from hd_edge.config import MAX_LEAVES, MAX_ROWS
from hd_edge.draft.planner import NO_PREDICTION, Step
from hd_edge.draft.tree_planner import TreePlanner

STATISTICS_LEAST = 2  # how often a key of 3 tokens and more must occur


@dataclass
class Trace:
    """One recorded answer; ``top_ids``/``top_chances`` [n, 8] are the target's own rows where they were kept."""

    tokens: np.ndarray
    prompt: int
    group: str
    top_ids: np.ndarray | None = None
    top_chances: np.ndarray | None = None


class Tokenizer:
    """A GGUF file's tokenizer, without its weights."""

    def __init__(self, path: Path) -> None:
        import llama_cpp

        self.llm = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)

    def __call__(self, text: str, first: bool) -> list[int]:
        return self.llm.tokenize(text.encode(), add_bos=first, special=False)


def load_traces(path: Path, vocab: Path | None = None) -> list[Trace]:
    """Traces of token ids (.npz: tokens, offsets, prompt_len, category and, if kept, top_ids, top_p) or of text
    (.jsonl: prompt, output and perhaps category), which take the tokenizer of the GGUF file ``vocab``."""
    if path.suffix == ".npz":
        with np.load(path) as archive:
            data = dict(archive)  # an archive reads its arrays anew at each look
        tops = (data["top_ids"], data["top_p"]) if "top_ids" in data else None
        starts = data["prompt_len"] if "prompt_len" in data else np.zeros(len(data["offsets"]), int)
        groups = data["category"] if "category" in data else ["all"] * len(starts)
        return [
            Trace(
                data["tokens"][a:b],
                int(starts[i]),
                str(groups[i]),
                *((tops[0][a:b], tops[1][a:b]) if tops else ()),
            )
            for i, (a, b) in enumerate(pairwise(data["offsets"]))
        ]
    if vocab is None:
        raise SystemExit(f"{path} holds text: name a GGUF file with its tokenizer by --vocab")
    tokenize, traces = Tokenizer(vocab), []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        prompt = tokenize(row["prompt"], True) if "output" in row else []
        answer = tokenize(row["output"] if "output" in row else row["text"], False)
        traces.append(Trace(np.array(prompt + answer, np.int32), len(prompt), row.get("category", "all")))
    return traces


class CachedTier:
    """A tier of which everything is in memory."""

    def __init__(self, name: str, n_vocab: int) -> None:
        self.name, self.n_vocab = name, n_vocab
        self.cache = TierCache(n_vocab, 1 << 40)
        self.cache.set_complete()

    def fetch(self, keys: list[int]) -> int:
        raise AssertionError(f"{len(keys)} keys of the {self.name} tier are not in memory")


class Memory(CachedTier):
    """The model tier; learns finished answers."""

    def __init__(self, traces: list[Trace], n_vocab: int) -> None:
        super().__init__("model", n_vocab)
        self.rows: dict[int, bytes] = {}
        self.counter = AnswerCounter(n_vocab)
        for trace in traces:
            self.learn(trace)

    def learn(self, trace: Trace) -> None:
        for key, row in self.counter.records(trace.tokens, trace.prompt):
            known = self.rows.get(key)
            self.rows[key] = row if known is None else merge_records(key, known, row, self.n_vocab)[1]
            self.cache.put(key, self.rows[key])


def statistics_tier(texts: Iterable[np.ndarray], n_vocab: int) -> CachedTier:
    """The statistics tier of these texts."""
    corpus, tier = CorpusBuffer(n_vocab), CachedTier("statistics", n_vocab)
    for text in texts:
        corpus.add(text)
    with TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        corpus.spill(run)
        rows = CorpusRecords([run], n_vocab, STATISTICS_LEAST, 1 << 22)
        while batch := rows.next(10_000):
            for key, _, row in batch:
                tier.cache.put(key, row)
    return tier


@dataclass
class Tally:
    """What a replay counted, by group, and how reliable the planner's chances were."""

    tokens: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    reliability: Reliability = field(default_factory=Reliability)

    def add(self, group: str, tokens: int, rows: int, cost: float) -> None:
        for table, value in ((self.tokens, tokens), (self.steps, 1), (self.rows, rows), (self.cost, cost)):
            table[group] = table.get(group, 0) + value

    def speedup(self) -> dict[str, float]:
        return {group: self.tokens[group] / self.cost[group] for group in self.tokens}

    def mean_accepted(self) -> dict[str, float]:
        return {group: self.tokens[group] / self.steps[group] for group in self.tokens}


class RecordedPlanner(TreePlanner):
    """``TreePlanner`` with the recorded rows of a trace in place of a verifier's."""

    trace: Trace | None = None
    at = 0  # of the next token to emit

    def _recycle(self, step: Step) -> None:
        if self.trace is not None and self.trace.top_ids is not None:
            for i, node in enumerate(step.path):
                ids, chances = self.trace.top_ids, self.trace.top_chances
                self._drafter.recycle_row(step.tree, node, ids[self.at - 1 + i], chances[self.at - 1 + i])


def replay(planner, trace: Trace, costs: dict[int, float], tally: Tally, most=(MAX_ROWS, MAX_LEAVES)) -> None:
    """Decodes one trace as the decode loop would; ``costs`` of a forward by rows, in forwards over one row; ``most``
    rows and branches of a draft."""
    tokens, at = trace.tokens, trace.prompt
    planner.begin(tokens[:at], NO_PREDICTION)
    while at < len(tokens):
        tree = planner.plan(int(tokens[at - 1]), *most)
        path = tree.follow(tokens[at:-1].tolist())
        emitted = tokens[at : at + len(path)].tolist()
        rows = len(tree)
        cost = costs[rows] if rows in costs else min(c for n, c in costs.items() if n >= rows)
        planner.at = at
        planner.learn(Step(tree, path, emitted, cost))
        tally.add(trace.group, len(path), rows, cost)
        tally.reliability.count(tree, path, len(tokens) - at - 1)
        at += len(path)
