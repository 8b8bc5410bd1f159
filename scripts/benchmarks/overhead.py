"""What hd_edge costs beside the forwards, measured in turns in one run.

1. ``llama_cpp.Llama`` against ``hd_edge.Llama(draft="off")``: whole completions, same settings.
2. Proposing, planning and learning per forward of ``hd_edge.Llama(draft="auto")``.

Usage: overhead.py [-m MODEL] [-t THREADS] [-r ROUNDS] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import llama_cpp

from hd_edge import GenerationStats, Llama
from hd_edge.bench.hardware import hardware
from hd_edge.model.demo import demo_model

PROMPTS = (
    "Write a short story about a lighthouse keeper.",
    "Explain how a bicycle stays upright.",
    "List twenty animals and say in one sentence where each of them lives.",
    "What is a prime number? Give examples and a short proof that there are infinitely many.",
)
TOKENS = 256


def timed(llm: llama_cpp.Llama, prompt: str) -> tuple[float, str, int]:
    started = time.perf_counter()
    messages = [{"role": "user", "content": prompt}]
    answer = llm.create_chat_completion(messages, max_tokens=TOKENS, temperature=0.0)
    seconds = time.perf_counter() - started
    return seconds, answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="demo")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args()
    model = str(demo_model()) if options.model == "demo" else options.model
    settings = {"n_ctx": 2048, "n_threads": options.threads, "n_threads_batch": options.threads, "flash_attn": True}
    arms = {
        "llama-cpp": llama_cpp.Llama(model, verbose=False, **settings),
        "plain": Llama(model, draft="off", prefix_cache=None, **settings),
        "auto": Llama(model, store=None, prefix_cache=None, **settings),
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    identical = 0
    for llm in arms.values():
        timed(llm, "Tell me about the sea.")  # the cost of a row is measured here
    arms["auto"].total_stats = GenerationStats()
    for turn in range(options.rounds):
        for prompt in PROMPTS:
            texts = {}
            order = list(arms) if turn % 2 == 0 else list(arms)[::-1]
            for name in order:
                spent, texts[name], tokens = timed(arms[name], prompt)
                seconds[name].append(spent / max(tokens, 1))
            identical += texts["plain"] == texts["auto"]
    ratios = {
        f"{faster} over {slower}": [a / b for a, b in zip(seconds[slower], seconds[faster], strict=True)]
        for slower, faster in (("llama-cpp", "plain"), ("plain", "auto"), ("llama-cpp", "auto"))
    }
    stats = arms["auto"].total_stats
    result = {
        "schema": 1,
        "hardware": hardware(arms["auto"]),
        "settings": {"threads": options.threads, "tokens": TOKENS},
        "model": Path(model).name,
        "pairs": len(seconds["plain"]),
        "drafted_identical_to_plain": identical,
        "seconds_per_token": {name: statistics.median(values) for name, values in seconds.items()},
        "speedup": {
            name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
            for name, values in ratios.items()
        },
        "draft_seconds_per_forward": stats.draft_seconds / max(stats.forwards, 1),
        "forward_seconds": stats.forward_seconds / max(stats.forwards, 1),
        "draft_share_of_forward": stats.draft_seconds / max(stats.forward_seconds, 1e-9),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    for llm in arms.values():
        llm.close()


if __name__ == "__main__":
    main()
