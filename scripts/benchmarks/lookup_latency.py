"""What a look-up in the SQLite tiers costs: the fetches of real decoding steps, with a cold and a warm page cache.

    lookup_latency.py --model MODEL.gguf --statistics FILE --texts corpus.jsonl --json out.json

Walks along texts token by token, as decoding does, asks both tiers for the keys that the drafter would miss (the last
pair and the last token of the text and of its likeliest continuation, at most four per tier), puts the rows into the
caches and reads every follower list of the step. Model tier: learned from the first half of the texts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from itertools import islice
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from hd_edge import _native
from hd_edge.build.corpus import Corpus
from hd_edge.model.vocabulary import Vocabulary, identify, vocabulary_of
from hd_edge.store.safety import SafeStore
from hd_edge.tiers.model import ModelTier
from hd_edge.tiers.statistics import StatisticsTier
from hd_edge.tiers.tier import StoredTier

LENGTHS = (8, 6, 4, 3, 2, 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="GGUF file with the tokenizer")
    parser.add_argument("--statistics", required=True, type=Path, help="statistics store of that tokenizer")
    parser.add_argument("--texts", required=True, help="JSON lines with a field `text`")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args()


def drop_page_cache(path: Path) -> bool:
    """Asks the kernel to forget the file; False where it cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def step(tier: StoredTier, context: np.ndarray) -> None:
    """One step of a tier: the followers of the text, then those of its likeliest continuation."""
    tail = context
    for _ in range(2):
        wanted = [_native.ngram_key(tail, 2), _native.ngram_key(tail, 1)]
        missing = [key for key in wanted if not tier.cache.known(key)]
        if missing:
            tier.fetch(missing)
        likeliest = None
        for length in LENGTHS:
            found = tier.cache.find(tail, length)
            if likeliest is None and found and found[1]:
                likeliest = found[1][0][0]
        if likeliest is None:
            return
        tail = np.append(tail[1:], np.int32(likeliest))


def walk(tiers: list[StoredTier], texts: list[np.ndarray], steps: int) -> dict[str, float]:
    seconds, cpu = [], []
    lookups = sum(tier.lookups for tier in tiers)
    for tokens in texts:
        for end in range(8, len(tokens)):
            context = np.ascontiguousarray(tokens[end - 8 : end])
            started, started_cpu = perf_counter(), thread_time()
            for tier in tiers:
                step(tier, context)
            cpu.append(thread_time() - started_cpu)
            seconds.append(perf_counter() - started)
            if len(seconds) >= steps:
                break
        if len(seconds) >= steps:
            break
    micro, micro_cpu = np.array(seconds) * 1e6, np.array(cpu) * 1e6
    return {
        "steps": len(seconds),
        "lookups_per_step": (sum(tier.lookups for tier in tiers) - lookups) / len(seconds),
        "median_us": float(np.median(micro)),
        "p90_us": float(np.percentile(micro, 90)),
        "p99_us": float(np.percentile(micro, 99)),
        "max_us": float(micro.max()),
        "cpu_median_us": float(np.median(micro_cpu)),  # without waiting for the disk or for a turn on the CPU
        "cpu_p99_us": float(np.percentile(micro_cpu, 99)),
    }


def main() -> None:
    options = arguments()
    with vocabulary_of(options.model) as model, tempfile.TemporaryDirectory() as folder:
        identity, vocabulary = identify(model), Vocabulary(model)
        units = [unit.text.decode("utf-8", "replace") for unit in islice(Corpus([options.texts]).units(), 400)]
        texts = [np.array(vocabulary.encode(text), np.int32) for text in units]
        path = Path(folder) / "model.sqlite3"
        learner = ModelTier(SafeStore(path, identity))
        for tokens in texts[:200]:
            learner.learn(tokens, 0)
            learner.flush()
        learner.close()
        results: dict[str, Any] = {}
        for arm in ("cold", "warm"):
            if arm == "cold" and not all(map(drop_page_cache, (path, options.statistics))):
                continue
            tiers: list[StoredTier] = [
                ModelTier(SafeStore(path, identity)),
                StatisticsTier(SafeStore(options.statistics, identity, kind="statistics", learn=False)),
            ]
            results[arm] = walk(tiers, texts[200:], options.steps)
            corpus_tokens = tiers[1].store.meta().get("corpus.tokens") if tiers[1].store else None
            for tier in tiers:
                tier.close()
    report = {
        "schema": 1,
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count()},
        "statistics": {"tokens": corpus_tokens, "bytes": options.statistics.stat().st_size},
        "arms": results,
    }
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
