"""The demonstration: a few prompts answered plainly and drafted, in turns, and what it cost."""

from __future__ import annotations

import os
import statistics
import sys

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


def main() -> None:
    model = str(demo_model())
    print(f"{DIM}SmolLM2-135M-Instruct, Q4_0, greedy, exact mode: {model}{OFF}")
    settings = {"n_ctx": 1024, "exact": True, "store": None, "prefix_cache": None}
    plain, drafted = Llama(model, draft="off", **settings), Llama(model, **settings)
    for llm in (drafted, plain):  # measures the cost of a row on this machine, once an answer is a few tokens long
        answer(llm, "Tell me about the moon.", show=False)
    rows = []
    for prompt in PROMPTS:
        print(f"\n{BOLD}{prompt}{OFF}\n")
        text, speed, per_forward = answer(drafted, prompt, show=True)
        plain_text, plain_speed, _ = answer(plain, prompt, show=False)
        rows.append((prompt, plain_speed, speed, per_forward, text == plain_text))
        print()
    print(f"\n{BOLD}{'prompt':<34}{'plain':>9}{'drafted':>10}{'ratio':>8}{'tokens/forward':>16}{'identical':>11}{OFF}")
    for prompt, plain_speed, speed, per_forward, same in rows:
        name = prompt if len(prompt) < 32 else prompt[:29] + "..."
        ratio = speed / plain_speed
        print(
            f"{name:<34}{plain_speed:>9.1f}{speed:>10.1f}{ratio:>8.2f}{per_forward:>16.2f}{'yes' if same else 'NO':>11}"
        )
    mean = statistics.geometric_mean(speed / plain_speed for _, plain_speed, speed, _, _ in rows)
    print(f"{DIM}tokens per second while decoding, one run each; mean ratio {mean:.2f}{OFF}")
    for llm in (plain, drafted):
        llm.close()
    print(f"\n{BOLD}source .venv/bin/activate{OFF} puts hd-edge on the path; then: hd-edge chat -m demo")
    sys.exit(0 if all(same for *_, same in rows) else 1)


if __name__ == "__main__":
    main()
