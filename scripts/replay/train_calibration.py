#!/usr/bin/env python3
"""Trains the default calibration that ships with the package (hd_edge/draft/calibration.bin).

    python scripts/replay/train_calibration.py record --model MODEL.gguf --traces traces.npz
    python scripts/replay/train_calibration.py train --traces traces.npz --output hd_edge/draft/calibration.bin

``record`` lets a model answer prompts of the project's own (calibration_prompts.py): greedily, with its top 8 tokens
at every position, and sampled, as text of another writer for the statistics tier. ``train`` replays them with every
mix of tiers, so that the mixer has seen each of them missing.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from itertools import islice
from pathlib import Path

import numpy as np
from calibration_prompts import first_prompts, text_prompts
from replay import Memory, Trace, load_traces, statistics_tier

from hd_edge._native import Drafter, Tier

TOKENS = 160  # of one answer
ROWS = 32
EPOCHS = 4
FIRST_RATE, RATE = 0.01, 0.003
MIXES = ("crms", "cms", "cr", "crm")  # each answer meets each of them once


class Recorder:
    """Runs a model token by token and keeps its rows."""

    def __init__(self, model: Path, threads: int) -> None:
        import llama_cpp
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        self.lib = llama_cpp
        self.llm = llama_cpp.Llama(
            str(model), n_ctx=2048, n_threads=threads, n_threads_batch=threads, flash_attn=True, verbose=False
        )
        vocab = self.llm.n_vocab()
        template = self.llm.metadata["tokenizer.chat_template"]
        self.chat = Jinja2ChatFormatter(template=template, eos_token="", bos_token="")
        self.vocab = vocab

    def row(self) -> np.ndarray:
        """Logits of the last token."""
        pointer = self.lib.llama_get_logits_ith(self.llm._ctx.ctx, -1)
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (self.vocab,))

    def answer(self, prompt: str, sampler: np.random.Generator | None) -> tuple[list[int], int, list, list]:
        """Tokens of prompt and answer, where the answer begins, and the top 8 of each row of the answer."""
        text = self.chat(messages=[{"role": "user", "content": prompt}]).prompt
        tokens = self.llm.tokenize(text.encode(), add_bos=False, special=True)[:1500]
        start = len(tokens)
        self.llm.reset()
        self.llm.eval(tokens)
        ids, chances = [], []
        for _ in range(TOKENS):
            row = self.row().astype(np.float64)
            top = np.argpartition(row, -8)[-8:]
            top = top[np.argsort(-row[top], kind="stable")]
            chance = np.exp(row - row[top[0]])
            ids.append(top)
            chances.append(chance[top] / chance.sum())
            token = int(top[0])
            if sampler is not None:
                token = int(sampler.choice(self.vocab, p=chance / chance.sum()))
            tokens.append(token)
            if token == self.llm.token_eos():
                break
            self.llm.eval([token])
        return tokens, start, ids, chances


def record(args: argparse.Namespace) -> None:
    recorder = Recorder(args.model, args.threads)
    sampler = np.random.default_rng(1)
    columns = {"tokens": [], "top_ids": [], "top_p": []}
    starts, groups, offsets = [], [], [0]
    texts: list[str] = []
    began = time.time()

    def keep(group: str, prompt: str, sample: bool = False) -> None:
        tokens, start, ids, chances = recorder.answer(prompt, sampler if sample else None)
        n = len(tokens)
        top_ids, top_p = np.full((n, 8), -1, np.int32), np.zeros((n, 8), np.float32)
        top_ids[start - 1 : start - 1 + len(ids)] = ids
        top_p[start - 1 : start - 1 + len(ids)] = chances
        for name, value in (("tokens", np.array(tokens, np.int32)), ("top_ids", top_ids), ("top_p", top_p)):
            columns[name].append(value)
        starts.append(start)
        groups.append("sampled" if sample else group)
        offsets.append(offsets[-1] + n)
        if not sample and group == "chat":
            texts.append(recorder.llm.detokenize(tokens[start:-1]).decode(errors="ignore"))
        if len(starts) % 25 == 0:
            print(f"{len(starts)} answers, {offsets[-1]} tokens, {time.time() - began:.0f} s", flush=True)

    for group, prompt in first_prompts(args.prompts):
        keep(group, prompt)
    for group, prompt in text_prompts(texts, args.prompts // 2):
        keep(group, prompt)
    for group, prompt in islice(first_prompts(2 * args.prompts), args.prompts, None):
        keep(group, prompt, sample=True)  # other prompts: a corpus does not know the question
    np.savez_compressed(
        args.traces,
        **{name: np.concatenate(values) for name, values in columns.items()},
        offsets=np.array(offsets),
        prompt_len=np.array(starts),
        category=np.array(groups),
    )


def train(drafter: Drafter, traces: list[Trace], recycle: bool) -> None:
    """One epoch: a tree of ROWS rows at every position, so that deep nodes are learned from too."""
    for trace in traces:
        tokens = trace.tokens
        drafter.forget_rows()
        drafter.begin(tokens[:0])
        drafter.begin(tokens[: trace.prompt])
        for at in range(trace.prompt, len(tokens)):
            tree = drafter.grow(ROWS, ROWS)
            path = tree.follow(tokens[at:-1].tolist())
            drafter.learn(tree, tokens[at : at + len(path)])
            if recycle:
                drafter.recycle_row(tree, 0, trace.top_ids[at - 1], trace.top_chances[at - 1])
            drafter.append(tokens[at : at + 1])


def fit(args: argparse.Namespace) -> None:
    traces = load_traces(args.traces)
    greedy = [trace for trace in traces if trace.group != "sampled"]
    vocab = int(max(max(trace.tokens.max(), trace.top_ids.max()) for trace in traces)) + 1
    statistics = statistics_tier([t.tokens[t.prompt :] for t in traces if t.group == "sampled"], vocab)
    halves = greedy[::2], greedy[1::2]
    models = [Memory(half, vocab) for half in reversed(halves)]  # no answer is its own model tier
    calibration = None
    for epoch in range(EPOCHS):
        for half, model in zip(halves, models, strict=True):
            for i, mix in enumerate(MIXES):
                drafter = Drafter(vocab)
                drafter.set_cost(np.array([ROWS], np.int32), np.ones(1, np.float32))
                if "m" in mix:
                    drafter.attach(Tier.model, model.cache)
                if "s" in mix:
                    drafter.attach(Tier.statistics, statistics.cache)
                if calibration is not None:
                    drafter.load_calibration(calibration)
                drafter.set_rate(FIRST_RATE if epoch == 0 else RATE)
                train(drafter, half[(i + epoch) % len(MIXES) :: len(MIXES)], "r" in mix)
                calibration = drafter.save_calibration()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_bytes(calibration)
    print(f"{args.output}: {len(calibration)} bytes, {len(greedy)} answers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("record", help="let a model answer the prompts")
    verb.add_argument("--model", type=Path, required=True)
    verb.add_argument("--traces", type=Path, required=True)
    verb.add_argument("--prompts", type=int, default=100)
    verb.add_argument("--threads", type=int, default=2)
    verb.set_defaults(run=record)
    verb = verbs.add_parser("train", help="fit the mixer to recorded answers")
    verb.add_argument("--traces", type=Path, required=True)
    verb.add_argument("--output", type=Path, required=True)
    verb.set_defaults(run=fit)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
