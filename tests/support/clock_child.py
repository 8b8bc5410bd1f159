"""Child of ``test_clocks.py``: prints the answers of ``Llama`` and ``Engine`` while the clock stands, crawls or leaps.

Usage: clock_child.py MODEL KIND; KIND: stands, crawls, leaps or any. Prints "same" if they are those of plain decoding.
"""

import random
import sys
import time

choose = random.Random(1)
STEPS = {
    "stands": lambda: choose.choice([0.0] * 9 + [1e-3]),
    "crawls": lambda: choose.choice([0.0, 1e-9, 5e-7]),
    "leaps": lambda: choose.choice([0.0, 0.0, 1e-7, 1e-4, 1e-2, 1.0, 50.0]),
    "any": lambda: choose.lognormvariate(-8, 3),
}
step, now = STEPS[sys.argv[2]], [1000.0]


def clock() -> float:
    now[0] += step()
    return now[0]


time.perf_counter = clock  # before anybody has taken the name

from hd_edge import Engine, Llama  # noqa: E402

PROMPTS = ["one two three one two three one two three one two", "a b c d a b c d a b", "x y z " * 30]
SETTINGS = {"n_threads": 1, "verbose": False}


def asked(number: int) -> dict:
    return {"max_tokens": 40, "temperature": [0.0, 0.8][number % 2], "seed": number}


def said(answer: dict) -> str:
    return answer["choices"][0]["text"]


def alone(**settings) -> list[str]:
    with Llama(sys.argv[1], n_ctx=512, **SETTINGS, **settings) as llm:
        return [said(llm.create_completion(PROMPTS[n % 3], **asked(n))) for n in range(6)]


plain = alone(draft="off")
with Engine(sys.argv[1], parallel=3, n_ctx=1536, **SETTINGS) as engine:
    running = [engine.submit(PROMPTS[n % 3], **asked(n)) for n in range(6)]
    together = [said(handle.result()) for handle in running]
print("same" if plain == alone() == together else "other")
