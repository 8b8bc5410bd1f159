#!/usr/bin/env python3
"""Edit task: 20 documents with one sentence to change; time and forwards, plain, drafted, and with ``prediction``.

edit_bench.py -m model.gguf --json edit.json              the model's own greedy answers
edit_bench.py -m model.gguf --forced --json edit.json     every arm answers with the edited document

Arms take turns document by document. Plain decoding, drafts without a prediction (the document stands in the prompt),
and drafts with the unedited document as prediction answer the same prompt.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from hd_edge import Llama
from hd_edge.backend.threads import physical_cores
from hd_edge.bench.hardware import hardware

DOCUMENTS = Path(__file__).with_name("edit_documents.txt")
ARMS = ("plain", "auto", "prediction")


def documents() -> list[tuple[str, str, str]]:
    """Old sentence, new sentence, document."""
    found = []
    for block in DOCUMENTS.read_text(encoding="utf-8").split("\n===\n"):
        old, new, text = block.strip().split("\n", 2)
        found.append((old[2:], new[2:], text))
    return found


class Forced:
    """A logits processor that lets only the script's next token through."""

    def __init__(self, script: list[int]) -> None:
        self.script, self.start = script, -1

    def __call__(self, ids: Any, scores: Any) -> Any:
        if self.start < 0:
            self.start = len(ids)
        scores = np.full_like(scores, -1e9)
        scores[self.script[min(len(ids) - self.start, len(self.script) - 1)]] = 0
        return scores


def answer(llm: Llama, arm: str, case: tuple[str, str, str], forced: bool) -> dict[str, Any]:
    old, new, text = case
    ask = f'Change the sentence "{old}" to "{new}" in this text and write the whole new text.\n\n{text}'
    settings: dict[str, Any] = {"temperature": 0.0, "max_tokens": 400}
    if arm == "prediction":
        settings["prediction"] = {"type": "content", "content": text}
    if forced:
        script = [*llm.tokenize(text.replace(old, new).encode(), add_bos=False), llm.token_eos()]
        settings["logits_processor"] = [Forced(script)]
    llm.reset()
    started = perf_counter()
    done = llm.create_chat_completion([{"role": "user", "content": ask}], **settings)
    seconds = perf_counter() - started
    stats = llm.stats
    return {
        "text": done["choices"][0]["message"]["content"],
        "seconds": seconds,
        "decode_seconds": stats.seconds,
        "tokens": stats.tokens,
        "forwards": stats.forwards,
        "rows": stats.rows,
        "usage": done["usage"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-t", "--threads", type=int, default=physical_cores())
    parser.add_argument("-n", "--documents", type=int, default=20)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--forced", action="store_true", help="let every arm answer with the edited document")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cases = documents()[: args.documents]
    models = {
        arm: Llama(
            args.model,
            draft="off" if arm == "plain" else "auto",
            store=None,
            prefix_cache=None,
            statistics=None,
            learn=False,
            exact=args.exact,
            n_ctx=2048,
            n_threads=args.threads,
            n_threads_batch=args.threads,
        )
        for arm in ARMS
    }
    for arm in ARMS:  # warm-up: pages of the file, the cost curve
        answer(models[arm], arm, cases[-1], args.forced)
    results: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for number, case in enumerate(cases):
        for turn in range(len(ARMS)):
            arm = ARMS[(number + turn) % len(ARMS)]
            results[arm].append(answer(models[arm], arm, case, args.forced))
    report: dict[str, Any] = {
        "schema": 1,
        "hardware": hardware(models["plain"]),
        "settings": {
            "model": Path(args.model).name,
            "n_threads": args.threads,
            "exact": args.exact,
            "forced": args.forced,
            "temperature": 0,
        },
        "arms": {},
    }
    plain = results["plain"]
    print(f"{'arm':<12}{'tokens':>8}{'forwards':>10}{'tok/fwd':>9}{'tok/s':>8}{'decode':>9}{'whole':>8}{'same':>7}")
    for arm, runs in results.items():
        tokens, forwards = (sum(run[name] for run in runs) for name in ("tokens", "forwards"))
        decode = statistics.median(a["decode_seconds"] / b["decode_seconds"] for a, b in zip(plain, runs, strict=True))
        whole = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(plain, runs, strict=True))
        same = sum(a["text"] == b["text"] for a, b in zip(plain, runs, strict=True))
        speed = tokens / sum(run["decode_seconds"] for run in runs)
        report["arms"][arm] = {
            "tokens": tokens,
            "forwards": forwards,
            "mean_accepted_tokens": tokens / forwards,
            "tokens_per_second": speed,
            "speedup_decode": decode,
            "speedup_whole": whole,
            "same_text_as_plain": same,
            "runs": runs,
        }
        print(
            f"{arm:<12}{tokens:>8}{forwards:>10}{tokens / forwards:>9.2f}{speed:>8.1f}"
            f"{decode:>8.2f}x{whole:>7.2f}x{same:>4}/{len(runs)}"
        )
    if args.json:
        args.json.write_text(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
