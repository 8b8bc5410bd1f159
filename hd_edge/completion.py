"""What hd_edge adds to the completion dictionaries of ``llama_cpp``."""

from __future__ import annotations

from typing import Any

from .stats import GenerationStats


def add_counts(completion: dict[str, Any], stats: GenerationStats) -> None:
    """Adds drafted tokens where clients already look for them.

    ``usage.completion_tokens_details`` has OpenAI's names (predicted outputs), ``timings`` those of llama-server.
    """
    accepted, drafted = sum(stats.accepted.values()), sum(stats.drafted.values())
    completion["usage"]["completion_tokens_details"] = {
        "accepted_prediction_tokens": accepted,
        "rejected_prediction_tokens": drafted - accepted,
    }
    completion["timings"] = timings(stats)


def timings(stats: GenerationStats) -> dict[str, Any]:
    """llama-server's ``timings``: milliseconds and token counts of prompt, answer and drafts."""
    return {
        "prompt_n": stats.prompt_tokens,
        "prompt_ms": stats.prompt_seconds * 1e3,
        "predicted_n": stats.tokens,
        "predicted_ms": stats.seconds * 1e3,
        "predicted_per_second": stats.tokens_per_second,
        "draft_n": sum(stats.drafted.values()),
        "draft_n_accepted": sum(stats.accepted.values()),
    }
