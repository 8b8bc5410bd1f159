"""The demonstration: a few prompts answered plainly and drafted, in turns, and what it cost."""

from __future__ import annotations

import os
import statistics
import sys
from contextlib import closing
from dataclasses import dataclass, field

from hd_edge import Llama
from hd_edge.model.demo import demo_model

PROMPTS = (
    "Write a haiku about the sea.",
    "List the numbers from one to twenty, each with its square.",
    "Repeat this recipe word for word, but for four persons: For two persons, boil 200 grams of pasta in salted water "
    "for ten minutes. Fry one onion and two cloves of garlic in two spoons of olive oil, add 300 grams of tomatoes and "
    "let everything simmer for fifteen minutes. Mix the pasta with the sauce and serve it with cheese.",
)
TOKENS = 160
ROUNDS = 3  # an answer takes a tenth of a second: one in which another program runs tells nothing
WARM_UP = "Tell me about the moon."
SETTINGS = {"n_ctx": 1024, "exact": True, "store": None, "prefix_cache": None}
BOLD, DIM, OFF = (
    ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("",) * 3
)


def answer(llm: Llama, prompt: str, show: bool) -> tuple[str, float, float]:
    """Text, tokens per second and tokens per forward of one answer; streams it if asked to."""
    text = []
    messages = [{"role": "user", "content": prompt}]
    for chunk in llm.create_chat_completion(messages, max_tokens=TOKENS, temperature=0.0, stream=True):
        piece = chunk["choices"][0]["delta"].get("content") or ""
        text.append(piece)
        if show:
            print(piece, end="", flush=True)
    return "".join(text), llm.stats.tokens_per_second, llm.stats.mean_accepted_tokens


@dataclass
class Row:
    """A prompt of the table: speeds of each round, and whether all texts were the same."""

    prompt: str
    plain: list[float] = field(default_factory=list)
    drafted: list[float] = field(default_factory=list)
    per_forward: float = 0.0
    same: bool = True

    @property
    def ratio(self) -> float:
        """Median of the rounds."""
        return statistics.median(drafted / plain for drafted, plain in zip(self.drafted, self.plain, strict=True))


def measure(model: str, rows: list[Row], plain: Llama, *, show: bool) -> None:
    """One round: a model that has learned nothing answers all prompts, in turns with a plain one."""
    with closing(Llama(model, **SETTINGS)) as drafted:
        answer(drafted, WARM_UP, show=False)  # measures the cost of a row on this machine
        for row in rows:
            if show:
                print(f"\n{BOLD}{row.prompt}{OFF}\n")
            text, speed, row.per_forward = answer(drafted, row.prompt, show)
            plain_text, plain_speed, _ = answer(plain, row.prompt, show=False)
            row.drafted.append(speed)
            row.plain.append(plain_speed)
            row.same = row.same and text == plain_text
            if show:
                print()


def main() -> None:
    model = str(demo_model())
    print(f"{DIM}SmolLM2-135M-Instruct, Q4_0, greedy, exact mode: {model}{OFF}")
    rows = [Row(prompt) for prompt in PROMPTS]
    with closing(Llama(model, draft="off", **SETTINGS)) as plain:
        answer(plain, WARM_UP, show=False)
        for number in range(ROUNDS):
            measure(model, rows, plain, show=number == 0)
    print(f"\n{BOLD}{'prompt':<34}{'plain':>9}{'drafted':>10}{'ratio':>8}{'tokens/forward':>16}{'identical':>11}{OFF}")
    for row in rows:
        name = row.prompt if len(row.prompt) < 32 else row.prompt[:29] + "..."
        speeds = f"{statistics.median(row.plain):>9.1f}{statistics.median(row.drafted):>10.1f}{row.ratio:>8.2f}"
        print(f"{name:<34}{speeds}{row.per_forward:>16.2f}{'yes' if row.same else 'NO':>11}")
    mean = statistics.geometric_mean(row.ratio for row in rows)
    print(
        f"{DIM}tokens per second while decoding, medians of {ROUNDS} rounds, each begun with nothing learned; "
        f"mean ratio {mean:.2f}{OFF}"
    )
    print(f"\n{BOLD}source .venv/bin/activate{OFF} puts hd-edge on the path; then: hd-edge chat -m demo")
    sys.exit(0 if all(row.same for row in rows) else 1)


if __name__ == "__main__":
    main()
