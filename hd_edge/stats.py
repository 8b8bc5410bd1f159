"""GenerationStats: what a generation cost and where its tokens came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import _native

TIERS = ("context", "model", "statistics", "drafter")
TIER_NAMES = ("target", *TIERS)  # index = native Tier
SUMMED = (  # fields that add up
    *("prompt_tokens", "cached_tokens", "prompt_seconds", "tokens", "ends", "seconds", "forwards", "drafts", "rows"),
    *("draft_seconds", "forward_seconds"),
)


@dataclass
class GenerationStats:
    """Counts of one generation, or of all of them (``total_stats``).

    ``mean_accepted_tokens`` counts as Spec-Bench does: output tokens per forward of the target, bonus token included,
    over all forwards, also those without a draft.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt: in the KV cache already, or taken from the prefix store
    prompt_seconds: float = 0.0
    tokens: int = 0
    ends: int = 0  # of them, those that ended an answer and are no text
    seconds: float = 0.0  # from the end of prefill to the last token; the consumer's time between tokens left out
    forwards: int = 0
    drafts: int = 0  # forwards that verified a draft
    rows: int = 0  # rows of all forwards, roots included
    drafted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIERS, 0))
    accepted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIERS, 0))
    accepted_by_depth: list[int] = field(default_factory=list)  # [d]: accepted tokens that stood at depth d + 1
    lookups: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIERS, 0))
    draft_seconds: float = 0.0  # proposing, planning and learning
    forward_seconds: float = 0.0
    last: int = -1  # token handed out last
    kernels: str = ""  # which compute the products, and why if they are not ours

    @property
    def tokens_per_second(self) -> float:
        """Decode speed; 0.0 before the first token."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def mean_accepted_tokens(self) -> float:
        """Output tokens per forward, bonus included."""
        return self.tokens / self.forwards if self.forwards else 0.0

    @property
    def acceptance_rate(self) -> float:
        """Accepted tokens over drafted ones."""
        drafted = sum(self.drafted.values())
        return sum(self.accepted.values()) / drafted if drafted else 0.0

    def count_step(self, tree: _native.DraftTree, path: Sequence[int], seconds: float, planning: float) -> None:
        """Counts a forward over ``tree``, of which ``path`` was accepted, root first."""
        self.forwards += 1
        self.forward_seconds += seconds
        self.draft_seconds += planning
        self.rows += (rows := len(tree))
        if rows == 1:
            return
        self.drafts += 1
        for tier in filter(None, tree.tier[1:].tolist()):  # a planner of somebody's own may name none
            self.drafted[TIER_NAMES[tier]] += 1
        self.accepted_by_depth += [0] * (len(path) - 1 - len(self.accepted_by_depth))
        for depth, node in enumerate(path[1:]):
            if tier := tree.tier_of(node):
                self.accepted[TIER_NAMES[tier]] += 1
            self.accepted_by_depth[depth] += 1

    def add(self, other: GenerationStats) -> None:
        """Adds another generation's counts to these."""
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("drafted", "accepted", "lookups"):  # programs beside hd_edge have tiers of their own
            counts: dict[str, int] = getattr(self, name)
            for tier, count in getattr(other, name).items():
                counts[tier] = counts.get(tier, 0) + count
        self.kernels = other.kernels or self.kernels
        missing = len(other.accepted_by_depth) - len(self.accepted_by_depth)
        self.accepted_by_depth += [0] * max(missing, 0)
        for depth, count in enumerate(other.accepted_by_depth):
            self.accepted_by_depth[depth] += count

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "prompt_seconds": self.prompt_seconds,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second,
            "forwards": self.forwards,
            "drafts": self.drafts,
            "rows": self.rows,
            "mean_accepted_tokens": self.mean_accepted_tokens,
            "acceptance_rate": self.acceptance_rate,
            "drafted_by_tier": dict(self.drafted),
            "accepted_by_tier": dict(self.accepted),
            "accepted_by_depth": list(self.accepted_by_depth),
            "lookups_by_tier": dict(self.lookups),
            "draft_seconds": self.draft_seconds,
            "draft_seconds_per_step": self.draft_seconds / self.forwards if self.forwards else 0.0,
            "forward_seconds": self.forward_seconds,
            "kernels": self.kernels,
        }

    def summary(self) -> str:
        """One line: ``142 tokens · 31.4 tok/s · 2.31 tokens/forward · 61 % drafted (context 61)``."""
        parts = [
            f"{self.tokens} tokens",
            f"{self.tokens_per_second:.1f} tok/s",
            f"{self.mean_accepted_tokens:.2f} tokens/forward",
        ]
        if self.tokens:
            share = {tier: round(100 * n / self.tokens) for tier, n in self.accepted.items() if n}
            by_tier = " · ".join(f"{tier} {percent}" for tier, percent in share.items())
            total = round(100 * sum(self.accepted.values()) / self.tokens)
            parts.append(f"{total} % drafted" + (f" ({by_tier})" if by_tier else ""))
        return " · ".join(parts)


def token_details(stats: GenerationStats) -> dict[str, int]:
    """OpenAI's ``completion_tokens_details``: drafted tokens that the target accepted and rejected."""
    accepted, drafted = sum(stats.accepted.values()), sum(stats.drafted.values())
    return {"accepted_prediction_tokens": accepted, "rejected_prediction_tokens": drafted - accepted}


def prompt_details(stats: GenerationStats) -> dict[str, int]:
    """OpenAI's ``prompt_tokens_details``: prompt tokens that were known and not computed."""
    return {"cached_tokens": stats.cached_tokens}


def usage(prompt: int, tokens: int, stats: GenerationStats) -> dict[str, Any]:
    """OpenAI's ``usage`` of so many tokens of a prompt and of its answers."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        "total_tokens": prompt + tokens,
        "prompt_tokens_details": prompt_details(stats),
        "completion_tokens_details": token_details(stats),
    }


def timings(stats: GenerationStats) -> dict[str, Any]:
    """llama-server's ``timings``: milliseconds and token counts of prompt, answer and drafts."""
    return {
        "prompt_n": stats.prompt_tokens - stats.cached_tokens,
        "cache_n": stats.cached_tokens,
        "prompt_ms": stats.prompt_seconds * 1e3,
        "predicted_n": stats.tokens,
        "predicted_ms": stats.seconds * 1e3,
        "predicted_per_second": stats.tokens_per_second,
        "draft_n": sum(stats.drafted.values()),
        "draft_n_accepted": sum(stats.accepted.values()),
    }
