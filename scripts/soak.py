#!/usr/bin/env python3
"""Generates for a long time, in many ways, and says whether memory grows and answers stay what they were.

    soak.py --minutes 60 --json soak.json [--model model.gguf]

Without a model: a small random one. Two models are loaded, one ``Llama`` and one ``Engine``, with a store and a prefix
cache in a scratch folder. Kinds of generations take turns by chance: chats that grow, completions, seeded ones, tools,
schemas, streams that are left, cancels from another thread, refused requests, conversations side by side. Every tenth
or so is a question whose answer a model without drafts gave at the start: it must be the same, to the letter.

Memory: resident bytes after each 20 generations; the slope is a least-squares line through those behind the first
quarter of the time. Caches in memory are made small, so that they are full by then: what grows afterwards is a leak.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import make_random_gguf

from hd_edge import Engine, HDEdgeError, Llama
from hd_edge.bench.hardware import hardware
from hd_edge.prefix import opening
from hd_edge.tiers.model import ModelTier

WINDOW, WARM_UP, EVERY = 2048, 0.25, 20
SMALL = 4 << 20  # bytes of each cache in memory
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "how", "another", "ran", "over", "old", "roof"]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 8}}},
    },
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}}, "required": ["ok"]}


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def shrink_caches() -> None:
    """Prefixes in memory take a sixteenth of the machine's, records of the model tier 48 MB: too long to fill."""
    opening.memory_budget = lambda: SMALL
    ModelTier.__init__.__defaults__ = (SMALL,)  # its budget


class Soak:
    """Generations of many kinds on two loaded models.

    Args:
        path: A model file.
        folder: For store and prefix cache.
        seed: Of what comes when.
    """

    def __init__(self, path: str, folder: Path, seed: int) -> None:
        self.choose = random.Random(seed)
        one = {"n_threads": 1, "n_threads_batch": 1, "statistics": None}
        kept = {"prefix_cache": folder / "prefix", "prefix_cache_bytes": 64 << 20}
        self.questions = [self.text() for _ in range(12)]
        with Llama(path, n_ctx=WINDOW, draft="off", store=None, prefix_cache=None, **one) as plain:
            self.stored = {text: self.answer(plain, text) for text in self.questions}
        self.llm = Llama(path, n_ctx=WINDOW, store=folder / "one.sqlite3", **kept, **one)
        self.engine = Engine(path, parallel=3, n_ctx=WINDOW, store=folder / "two.sqlite3", **kept, **one)
        self.talk: list[dict[str, Any]] = []
        self.count: Counter[str] = Counter()
        self.checks = self.wrong = 0
        self.kinds: list[Callable[[], None]] = [
            *(self.chat, self.chat, self.completion, self.seeded, self.tools, self.schema),
            *(self.left, self.cancelled, self.refused, self.side_by_side, self.check, self.check_in_company),
        ]

    def text(self) -> str:
        return " ".join(self.choose.choices(WORDS, k=self.choose.randrange(2, 40)))

    def answer(self, llm: Any, text: str) -> str:
        return llm.create_completion(text, max_tokens=24, temperature=0.0)["choices"][0]["text"]

    # -- kinds -----------------------------------------------------------------------------------------------------

    def chat(self) -> None:
        if len(self.talk) > 6:
            self.talk = []
        self.talk.append({"role": "user", "content": self.text()})
        made = self.llm.create_chat_completion(self.talk, max_tokens=30, temperature=self.choose.choice([0.0, 0.8]))
        self.talk.append({"role": "assistant", "content": made["choices"][0]["message"]["content"] or ""})

    def completion(self) -> None:
        self.llm.create_completion(self.text(), max_tokens=self.choose.randrange(1, 60), temperature=0.0)

    def seeded(self) -> None:
        self.llm.create_completion(self.text(), max_tokens=20, temperature=1.0, seed=self.choose.randrange(1000))

    def tools(self) -> None:
        talk = [{"role": "user", "content": self.text()}]
        choice = {"type": "function", "function": {"name": "weather"}}
        self.llm.create_chat_completion(talk, tools=[TOOL], tool_choice=choice, max_tokens=40)

    def schema(self) -> None:
        talk = [{"role": "user", "content": self.text()}]
        shape = {"type": "json_object", "schema": SCHEMA}
        self.llm.create_chat_completion(talk, response_format=shape, max_tokens=40)

    def left(self) -> None:
        stream = self.llm.create_completion(self.text(), max_tokens=60, stream=True)
        for _ in range(self.choose.randrange(1, 10)):
            next(stream, None)
        stream.close()

    def cancelled(self) -> None:
        timer = threading.Timer(self.choose.uniform(0.0, 0.05), self.llm.cancel)
        timer.start()
        self.llm.create_completion(self.text(), max_tokens=200, temperature=0.8)
        timer.join()

    def refused(self) -> None:
        try:
            self.llm.create_completion("the " * 4 * WINDOW, max_tokens=4)
        except HDEdgeError:
            return
        raise AssertionError("a prompt that is too long was taken")

    def side_by_side(self) -> None:
        handles = [self.engine.submit(self.text(), max_tokens=30, temperature=0.7) for _ in range(4)]
        handles[0].cancel()
        for handle in handles[1:]:
            handle.result(300)

    def check(self) -> None:
        self._equal(self.llm.create_completion, [self.choose.choice(self.questions)])

    def check_in_company(self) -> None:
        chosen = self.choose.sample(self.questions, 3)
        handles = {text: self.engine.submit(text, max_tokens=24, temperature=0.0) for text in chosen}
        for text, handle in handles.items():
            self._compare(text, handle.result(300)["choices"][0]["text"])

    def _equal(self, _: Any, texts: list[str]) -> None:
        for text in texts:
            self._compare(text, self.answer(self.llm, text))

    def _compare(self, text: str, said: str) -> None:
        self.checks += 1
        self.wrong += said != self.stored[text]

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self, minutes: float) -> dict[str, Any]:
        """What came of it."""
        started = time.monotonic()
        samples: list[tuple[float, int, int]] = []  # seconds, generations, bytes
        n = 0
        handles = 0
        while (passed := time.monotonic() - started) < 60 * minutes or len(samples) < 10:
            kind = self.choose.choice(self.kinds)
            kind()
            n += 4 if kind == self.side_by_side else 3 if kind == self.check_in_company else 1
            self.count[kind.__name__] += 1
            if sum(self.count.values()) % EVERY == 0:
                gc.collect()
                samples.append((passed, n, resident()))
                if passed < WARM_UP * 60 * minutes or handles == 0:
                    handles = len(list(Path("/proc/self/fd").iterdir()))
        late = [sample for sample in samples if sample[0] >= WARM_UP * samples[-1][0]]
        slope = float(np.polyfit([n for _, n, _ in late], [size for *_, size in late], 1)[0]) * 1000 / 1e6
        open_now = len(list(Path("/proc/self/fd").iterdir()))
        return {
            "seconds": round(time.monotonic() - started, 1),
            "generations": n,
            "kinds": dict(sorted(self.count.items())),
            "resident_mb": {"after_warm_up": round(late[0][2] / 1e6, 1), "at_the_end": round(late[-1][2] / 1e6, 1)},
            "slope_mb_per_1000_generations": round(slope, 3),
            "open_files": {"after_warm_up": handles, "at_the_end": open_now},
            "answers_checked": self.checks,
            "answers_that_differ": self.wrong,
            "exact": self.llm.exact,
            "samples": [[round(at), n, size] for at, n, size in samples[:: max(len(samples) // 60, 1)]],
        }

    def close(self) -> None:
        self.engine.close()
        self.llm.close()


def survival(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows for scripts/tools/survival_table.py."""
    grown = result["resident_mb"]
    note = (
        f"{result['seconds'] / 60:.0f} minutes, {result['slope_mb_per_1000_generations']} MB per 1,000 generations"
        f" ({grown['after_warm_up']} to {grown['at_the_end']} MB)"
    )
    right = result["answers_checked"] - result["answers_that_differ"]
    return [
        {"what": "soak: generations", "tried": result["generations"], "survived": result["generations"]}
        | {"seconds": result["seconds"], "note": note},
        {"what": "soak: answers equal to stored ones", "tried": result["answers_checked"], "survived": right}
        | {"seconds": 0, "note": ""},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--model", help="a GGUF file; else a small random one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ["HD_EDGE_HOME"] = str(folder / "home")
        path = options.model
        if path is None:
            path = folder / "random.gguf"
            make_random_gguf.write(path, make_random_gguf.Shape(2, 512, 1024, 8, 8), "Q4_0")
        shrink_caches()
        soak = Soak(str(path), folder, options.seed)
        try:
            result = {"schema": 1, "hardware": hardware(soak.llm), **soak.run(options.minutes)}
        finally:
            soak.close()
    result |= {"model": Path(path).name, "survival": survival(result)}
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for row in result["survival"]:
        print(f"{row['what']}: {row['survived']} of {row['tried']}  {row['note']}")
    if result["answers_that_differ"] or result["slope_mb_per_1000_generations"] >= 1.0:
        sys.exit(1)


if __name__ == "__main__":
    main()
