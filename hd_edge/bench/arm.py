"""What the benchmark is made of: arms, their settings, and what an answer cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from time import perf_counter
from typing import Any, Protocol

from llama_cpp import llama_cpp as lib

from hd_edge.errors import ContextFullError, DecodeError
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

    Attributes:
        text: The answer; empty where it was given.
        ids: Its token ids, the one that ends it included; None where an arm does not tell.
        stats: Its counts. Times are taken from outside: ``prompt_seconds`` up to the first token, which belongs to the
            prompt's forward, ``seconds`` from then to the last, clean-up included.
    """

    text: str
    ids: list[int] | None
    stats: GenerationStats

    @property
    def timed_tokens(self) -> int:
        """Tokens that ``stats.seconds`` bought."""
        return max(self.stats.tokens - 1, 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {"text": self.text, "ids": self.ids, **asdict(self.stats)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Answer:
        """From ``to_dict()``; keys it does not know are left out."""
        known = {item.name for item in fields(GenerationStats)}
        stats = GenerationStats(**{name: value for name, value in values.items() if name in known})
        return cls(values["text"], values["ids"], stats)


class Arm(Protocol):
    """One way of answering.

    Attributes:
        name: Its name in tables and files.
    """

    name: str

    def warm_up(self, prompt: Sequence[int], settings: Settings) -> None:
        """Begins an answer, untimed, so that the first timed one finds everything ready; learns nothing."""
        ...

    def answer(self, prompt: Sequence[int], settings: Settings) -> Answer:
        """Answers a prompt from its beginning.

        Raises:
            ContextFullError: Prompt and answer do not fit the context.
        """
        ...

    def close(self) -> None:
        """Frees what belongs to this arm alone."""
        ...


class LocalArm(ABC):
    """A way of answering in this process, by tokens of its own or by given ones.

    Args:
        name: Name of the arm.
        llm: A loaded model, which several arms may share.
        clock: Seconds.
    """

    warm_up_tokens = WARM_UP

    def __init__(self, name: str, llm: Any, clock: Clock = perf_counter) -> None:
        self.name = name
        self.llm = llm
        self._clock = clock

    def warm_up(self, prompt: Sequence[int], settings: Settings) -> None:
        """As ``Arm.warm_up``."""
        with self._ready(None):
            timed(self._generation(prompt, settings), self.warm_up_tokens, never)

    def answer(self, prompt: Sequence[int], settings: Settings, script: Sequence[int] | None = None) -> Answer:
        """As ``Arm.answer``.

        Args:
            prompt: Token ids.
            settings: Of all arms.
            script: The tokens that the model shall choose: every row is sampled as ever and the result replaced. None:
                its own.

        Raises:
            ContextFullError: Prompt and answer do not fit the context.
            DecodeError: The arm gave other tokens than those of the script.
        """
        most = settings.max_tokens if script is None else len(script)
        check_room(len(prompt), most, settings.n_ctx)
        with self._ready(script):
            run = timed(self._generation(prompt, settings), most, self._ends if script is None else never, self._clock)
        stats = replace(self._stats(), prompt_tokens=len(prompt), tokens=len(run.ids))
        stats.prompt_seconds, stats.seconds = run.prompt_seconds, run.seconds
        if script is None:
            return Answer(text_of(self.llm, run.ids), run.ids, stats)
        if run.ids != list(script):
            msg = f"{self.name} gave {run.ids[:8]}..., the script is {list(script[:8])}..."
            raise DecodeError(msg)
        return Answer("", None, stats)  # the script is not ours to hand on

    def _generation(self, prompt: Sequence[int], settings: Settings) -> Callable[[], Iterator[int]]:
        self.llm.reset()
        self.llm.set_seed(settings.seed)
        return lambda: self._generate(list(prompt), settings.temperature)

    def _ends(self, token: int) -> bool:
        return bool(lib.llama_vocab_is_eog(self.llm._model.vocab, token))

    @abstractmethod
    def _generate(self, prompt: list[int], temperature: float) -> Iterator[int]:
        """The answer's tokens; what follows the last one happens when it is closed."""

    @abstractmethod
    def _ready(self, script: Sequence[int] | None) -> AbstractContextManager[None]:
        """Lends the model what makes this arm."""

    @abstractmethod
    def _stats(self) -> GenerationStats:
        """Counts of the last generation, the prompt's forward left out."""

    def close(self) -> None:  # noqa: B027 (most arms own nothing)
        """As ``Arm.close``; the model belongs to who made the arm."""


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


def never(_token: int) -> bool:
    """No token ends the answer."""
    return False


def text_of(llm: Any, ids: list[int]) -> str:
    """The text of an answer."""
    return str(llm.detokenize(ids).decode("utf-8", errors="replace"))


def check_room(prompt: int, answer: int, n_ctx: int) -> None:
    """An answer that the context cuts short would compare unequal things.

    Raises:
        ContextFullError: The prompt and the longest answer do not fit.
    """
    if prompt + answer > n_ctx:
        msg = (
            f"the prompt has {prompt} tokens, the answer up to {answer}, the context window {n_ctx}: "
            "shorten it, or take a larger context"
        )
        raise ContextFullError(msg)
