"""What the benchmark is made of: arms, their settings, and what an answer cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from time import perf_counter
from typing import Any, Protocol

from hd_edge.errors import ContextFullError
from hd_edge.stats import GenerationStats

Messages = list[dict[str, str]]  # [{"role": "user", "content": "..."}, ...]
Clock = Callable[[], float]  # seconds
WARM_UP = 24  # tokens of an untimed answer: pages, threads, graphs
WARM_UP_DRAFTED = 128  # the same where the cost curve is sampled too
WARM_UP_MESSAGES: Messages = [{"role": "user", "content": "Tell me a story about a lighthouse."}]


@dataclass(frozen=True)
class Settings:
    """What all arms have in common.

    Attributes:
        max_tokens: Longest answer.
        temperature: 0: greedy.
        seed: The same for every answer.
        n_ctx: Size of the context window.
        n_threads: Threads of prompt and answer.
        n_gpu_layers: Layers on the GPU.
        n_batch: Tokens of one prefill batch.
        flash_attn: Flash attention.
        type_kv: Type of the KV cache, one of KV_TYPES.
        row_kernels: hd_edge's arms use its own CPU kernels where there are any.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0
    n_ctx: int = 4096
    n_threads: int = 1
    n_gpu_layers: int = 0
    n_batch: int = 512
    flash_attn: bool = True
    type_kv: str = "f16"
    row_kernels: bool = True


@dataclass(frozen=True)
class Answer:
    """What one answer was and what it cost.

    The first token belongs to the prompt's forward, so ``seconds`` buys ``tokens - 1`` tokens.

    Attributes:
        text: The answer.
        ids: Its token ids, the one that ends it included; None where an arm does not tell.
        prompt_tokens: Tokens of the prompt.
        tokens: Tokens generated, the one that ends the answer included.
        prompt_seconds: Up to the first token.
        seconds: From the first token to the last, clean-up included.
        forwards: Forwards of the target after the prompt's.
        drafts: Of those, how many verified a draft.
        rows: Rows of those forwards, roots included.
        draft_seconds: Proposing, planning and learning.
        forward_seconds: In the forwards.
        accepted_by_tier: Accepted tokens.
        drafted_by_tier: Drafted tokens.
        accepted_by_depth: ``[d]``: accepted tokens that stood at depth d + 1.
        lookups: Rows asked of the stores' files, by tier.
    """

    text: str
    ids: list[int] | None
    prompt_tokens: int
    tokens: int
    prompt_seconds: float
    seconds: float
    forwards: int = 0
    drafts: int = 0
    rows: int = 0
    draft_seconds: float = 0.0
    forward_seconds: float = 0.0
    accepted_by_tier: dict[str, int] = field(default_factory=dict)
    drafted_by_tier: dict[str, int] = field(default_factory=dict)
    accepted_by_depth: list[int] = field(default_factory=list)
    lookups: dict[str, int] = field(default_factory=dict)

    @property
    def timed_tokens(self) -> int:
        """Tokens that ``seconds`` bought."""
        return max(self.tokens - 1, 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Answer:
        """From ``to_dict()``; keys it does not know are left out."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


class Arm(Protocol):
    """One way of answering.

    Attributes:
        name: Its name in tables and files.
    """

    name: str

    def warm_up(self, messages: Messages, settings: Settings) -> None:
        """Begins an answer, untimed, so that the first timed one finds everything ready; learns nothing."""
        ...

    def answer(self, messages: Messages, settings: Settings) -> Answer:
        """Answers a conversation, its prompt from the beginning.

        Raises:
            ContextFullError: Prompt and answer do not fit the context.
        """
        ...

    def close(self) -> None:
        """Frees what belongs to this arm alone."""
        ...


@dataclass(frozen=True)
class Timed:
    """A generation and its times.

    Attributes:
        ids: Tokens generated.
        prompt_seconds: Up to the first token.
        seconds: From then on, the generation's clean-up included.
    """

    ids: list[int]
    prompt_seconds: float
    seconds: float


def timed(
    generate: Callable[[], Iterator[int]], most: int, is_end: Callable[[int], bool], clock: Clock = perf_counter
) -> Timed:
    """Takes tokens from a generator until one ends the answer or there are ``most``, then closes it."""
    started = clock()
    generation = generate()
    ids: list[int] = []
    first = started
    try:
        for token in generation:
            if not ids:
                first = clock()
            ids.append(token)
            if len(ids) >= most or is_end(token):
                break
    finally:
        if close := getattr(generation, "close", None):
            close()
    return Timed(ids, first - started, clock() - first)


def answered(run: Timed, stats: GenerationStats, prompt_tokens: int, text: str, ids: list[int] | None) -> Answer:
    """What a generation of hd_edge's decode loop was and cost."""
    return Answer(
        text=text,
        ids=ids,
        prompt_tokens=prompt_tokens,
        tokens=len(run.ids),
        prompt_seconds=run.prompt_seconds,
        seconds=run.seconds,
        forwards=stats.forwards,
        drafts=stats.drafts,
        rows=stats.rows,
        draft_seconds=stats.draft_seconds,
        forward_seconds=stats.forward_seconds,
        accepted_by_tier=dict(stats.accepted),
        drafted_by_tier=dict(stats.drafted),
        accepted_by_depth=list(stats.accepted_by_depth),
        lookups=dict(stats.lookups),
    )


def check_room(prompt: list[int], settings: Settings) -> None:
    """An answer that the context cuts short would compare unequal things.

    Raises:
        ContextFullError: The prompt and the longest answer do not fit.
    """
    if len(prompt) + settings.max_tokens > settings.n_ctx:
        msg = (
            f"the prompt has {len(prompt)} tokens, the answer up to {settings.max_tokens}, the context window "
            f"{settings.n_ctx}: shorten it, or take a larger context"
        )
        raise ContextFullError(msg)
