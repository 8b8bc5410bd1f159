"""``/metrics``: Prometheus text, with the names of llama-server and vLLM."""

from __future__ import annotations

from dataclasses import dataclass

from hd_edge import Engine
from hd_edge.stats import GenerationStats


@dataclass
class Requests:
    """Counts of requests.

    Attributes:
        waiting: In the queue now.
        running: Being answered now.
        done: Answered to the end.
        cancelled: Left by their client.
        failed: Answered with an error.
    """

    waiting: int = 0
    running: int = 0
    done: int = 0
    cancelled: int = 0
    failed: int = 0


def metrics(stats: GenerationStats, requests: Requests) -> str:
    """All metrics since the start, from ``Llama.total_stats`` and the counts of requests."""
    drafted, accepted = sum(stats.drafted.values()), sum(stats.accepted.values())
    lines: list[str] = []

    def add(name: str, kind: str, text: str, values: dict[str, float]) -> None:
        lines.extend(_metric(name, kind, text, values))

    def counter(name: str, text: str, value: float) -> None:
        add(name, "counter", text, {"": value})

    counter("llamacpp:prompt_tokens_total", "Prompt tokens given.", stats.prompt_tokens)
    counter("hd_edge:prompt_tokens_cached_total", "Prompt tokens known and not computed.", stats.cached_tokens)
    counter("llamacpp:prompt_seconds_total", "Seconds of prefill.", stats.prompt_seconds)
    counter("llamacpp:tokens_predicted_total", "Tokens generated.", stats.tokens)
    counter("llamacpp:tokens_predicted_seconds_total", "Seconds of decoding.", stats.seconds)
    counter("llamacpp:n_decode_total", "Forwards of the target while decoding.", stats.forwards)
    add("llamacpp:predicted_tokens_seconds", "gauge", "Mean decode speed, tokens/s.", {"": stats.tokens_per_second})
    add("llamacpp:requests_processing", "gauge", "Requests being answered.", {"": requests.running})
    add("llamacpp:requests_deferred", "gauge", "Requests in the queue.", {"": requests.waiting})
    positions = {f'{{position="{depth}"}}': float(n) for depth, n in enumerate(stats.accepted_by_depth)}
    for prefix in ("llamacpp:", "vllm:"):
        counter(f"{prefix}spec_decode_num_drafts_total", "Forwards that verified a draft.", stats.drafts)
        counter(f"{prefix}spec_decode_num_draft_tokens_total", "Drafted tokens.", drafted)
        counter(f"{prefix}spec_decode_num_accepted_tokens_total", "Drafted tokens accepted.", accepted)
        name = f"{prefix}spec_decode_num_accepted_tokens_per_pos_total"
        add(name, "counter", "Accepted tokens by their depth in the draft tree.", positions)
    for name, counts in (("drafted", stats.drafted), ("accepted", stats.accepted)):
        values = {f'{{tier="{tier}"}}': float(n) for tier, n in counts.items()}
        add(f"hd_edge:{name}_tokens_total", "counter", f"Tokens {name}, by tier.", values)
    outcomes = {f'{{outcome="{name}"}}': float(getattr(requests, name)) for name in ("done", "cancelled", "failed")}
    add("hd_edge:requests_total", "counter", "Requests ended, by outcome.", outcomes)
    return "\n".join(lines) + "\n"


def company(engine: Engine) -> str:
    """What many conversations share, and what each of them holds of it."""
    steps, slots = engine.steps, engine.slots
    lines = _metric("hd_edge:steps_total", "counter", "Forwards that conversations shared.", {"": steps.forwards})
    lines += _metric("hd_edge:step_rows_total", "counter", "Rows of these forwards.", {"": steps.rows})
    lines += _metric("hd_edge:step_seconds_total", "counter", "Seconds of these forwards.", {"": steps.forward_seconds})
    cells = {f'{{conversation="{slot.number}"}}': float(len(slot.tokens)) for slot in slots}
    lines += _metric("hd_edge:conversation_tokens", "gauge", "Tokens that the KV cache holds.", cells)
    busy = {f'{{conversation="{slot.number}"}}': float(slot.busy) for slot in slots}
    lines += _metric("hd_edge:conversation_busy", "gauge", "1 while a request is answered.", busy)
    said = {f'{{conversation="{slot.number}"}}': float(slot.output) for slot in slots}
    lines += _metric("hd_edge:conversation_output_tokens_total", "counter", "Tokens generated.", said)
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, values: dict[str, float]) -> list[str]:
    head = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    return head + [f"{name}{labels} {value:.10g}" for labels, value in values.items()]
