"""``hd-edge doctor --explain``: why drafting is or is not faster here: the cost curve, and what is accepted."""

from __future__ import annotations

from functools import partial
from typing import Any

from .disturbance import Disturbance
from .interrupt import ends_at_ctrl_c, in_thread

PROMPTS = (
    "Explain in simple words how a river shapes a valley.",
    "Write the numbers from one to forty as words, one per line.",
    "List ten fruits, then write the same list again in the same order.",
)
TOKENS = 96
SIZES = (2, 4, 8, 16)


def explain(model: str, threads: int | None, drafter: str | None = None) -> dict[str, Any]:
    """Measures three short answers.

    Args:
        model: GGUF file.
        threads: Threads; None: physical cores.
        drafter: GGUF file of a small model that drafts, too.

    Returns:
        ``cost`` (rows to forwards over one row), ``answers`` (mean accepted tokens and speed of each), ``verdict``
        (sentences).
    """
    from hd_edge import Llama
    from hd_edge.draft.tree_planner import TreePlanner

    given: dict[str, Any] = {} if threads is None else {"n_threads": threads, "n_threads_batch": threads}
    with ends_at_ctrl_c():
        llm = Llama(model, n_ctx=2048, store=None, learn=False, prefix_cache=None, drafter=drafter, **given)
    try:
        answers: list[dict[str, Any]] = []
        disturbance = Disturbance(llm.n_threads)
        for prompt in PROMPTS:
            talk = [{"role": "user", "content": prompt}]
            ask = partial(llm.create_chat_completion, talk, temperature=0.0, max_tokens=TOKENS, stream=True)
            for _ in in_thread(llm, ask):
                pass
            stats = llm.stats
            answers.append(
                {
                    "prompt": prompt,
                    "tokens_per_second": stats.tokens_per_second,
                    "mean_accepted_tokens": stats.mean_accepted_tokens,
                    "acceptance_rate": stats.acceptance_rate,
                    "rows_per_forward": stats.rows / stats.forwards if stats.forwards else 0.0,
                }
            )
        cost: dict[int, float] = {}
        told = disturbance.told()
        if isinstance(llm.planner, TreePlanner) and not told:
            rows, relative = llm.planner.cost.relative(256)
            cost = {int(n): float(c) for n, c in zip(rows, relative, strict=True) if n in SIZES}
        best = max(float(answer["mean_accepted_tokens"]) for answer in answers)
        return {"cost": cost, "answers": answers, "verdict": verdict(cost, best, llm.plain_reason, told)}
    finally:
        llm.close()


def verdict(cost: dict[int, float], best: float, plain: str = "", disturbed: str = "") -> list[str]:
    """What the numbers mean.

    Args:
        cost: Rows to forwards over one row.
        best: Mean accepted tokens of the answer that repeats most.
        plain: Why this model decodes plainly; empty if it need not.
        disturbed: What other programs did meanwhile; empty: nothing.
    """
    if plain:
        return [f"This model decodes plainly: {plain}."]
    if disturbed:
        return [f"The cost of rows cannot be told, {disturbed}."]
    if not cost:
        return ["The cost curve is not known yet: the answers were too short to measure it."]
    said = []
    cheapest = min(cost, key=lambda rows: cost[rows] / rows)
    said.append(
        f"A forward of {cheapest} rows costs {cost[cheapest]:.2f} times one row here: a draft of {cheapest - 1} tokens "
        f"pays when more than {cost[cheapest]:.2f} tokens are emitted per forward."
    )
    if cost[cheapest] > 0.75 * cheapest:
        said.append("Rows are expensive on this machine, so only sure drafts pay: expect little beside repeated text.")
    else:
        said.append("Rows are cheap on this machine: drafts pay also when they are often wrong.")
    if best < 1.2:
        said.append(
            "The answers hardly repeat the prompt or themselves, so little was drafted; use fills the model tier."
        )
    else:
        said.append(f"On text that repeats, {best:.2f} tokens came out of each forward.")
    return said
