"""The arms of ``trace_bench``: ways to decode a recorded answer on one loaded model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
from llama_cpp import Llama as BaseLlama
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding
from traces import Trace

from hd_edge.bench.arm import WARM_UP_DRAFTED, Answer, answered, timed
from hd_edge.config import DraftConfig
from hd_edge.draft.planner import NoDraft
from hd_edge.draft.profiles import planner_for
from hd_edge.draft.tree_planner import TreePlanner
from hd_edge.engine.decode import Decoder
from hd_edge.engine.prefill import prefill
from hd_edge.engine.sampling import ChainSampler
from hd_edge.stats import GenerationStats
from hd_edge.store.identity import identify
from hd_edge.tiers.memory import Hierarchy

ARMS = ("plain", "llama-cpp", "llama-cpp-pld", "paper", "auto", "auto-warm")


class ReplaySampler:
    """Does the target's greedy sampling at a row and returns the recorded token instead of its result."""

    def __init__(self, verifier: Any, answer: list[int]) -> None:
        self._verifier = verifier
        self._answer = iter(answer)

    def sample(self, node: int) -> int:
        self._verifier.argmax(node)
        return next(self._answer)


class ReplayFirst(ChainSampler):
    """The same for the last row of the prefill."""

    def __init__(self, answer: list[int], *args: Any) -> None:
        super().__init__(*args)
        self._token = answer[0]

    def sample_row(self, row: int) -> int:
        super().sample_row(row)
        return self._token


def beginning(trace: Trace) -> Trace:
    """The first tokens of an answer, to warm up with."""
    return Trace(trace.name, trace.category, trace.prompt, trace.answer[:WARM_UP_DRAFTED])


class Arm(ABC):
    """One way of decoding.

    Args:
        name: One of ARMS.
        llama: The loaded ``hd_edge.Llama``, shared by all arms.
    """

    def __init__(self, name: str, llama: Any) -> None:
        self.name = name
        self.llama = llama

    def decode(self, trace: Trace) -> Answer:
        """Decodes an answer.

        Raises:
            RuntimeError: The arm emitted other tokens than the recorded ones.
        """
        stats = GenerationStats()
        run = timed(lambda: self._generation(trace, stats), len(trace.answer), lambda _: False)
        if run.ids != trace.answer:
            raise RuntimeError(f"{self.name} emitted {run.ids[:8]}..., the recorded answer is {trace.answer[:8]}...")
        # No text, no ids: the recorded answer is not ours to hand on.
        return answered(run, stats, len(trace.prompt), "", None)

    @abstractmethod
    def warm_up(self, trace: Trace) -> None:
        """An untimed run over the first tokens of an answer, for arms that measure something; nothing is learned."""

    def cost_rows(self) -> list[Any]:
        """The cost curve that the arm used: (rows, context / 1,024, seconds, samples)."""
        return []

    @abstractmethod
    def _generation(self, trace: Trace, stats: GenerationStats) -> Iterator[int]:
        """The answer's tokens; what follows the last one happens when it is closed."""


class Drafted(Arm):
    """hd_edge's decode loop with a planner."""

    def __init__(self, name: str, llama: Any, planner: Any, hierarchy: Hierarchy | None) -> None:
        super().__init__(name, llama)
        self.planner = planner
        self.hierarchy = hierarchy

    def _generation(self, trace: Trace, stats: GenerationStats) -> Iterator[int]:
        llama, verifier = self.llama, self.llama.verifier
        chain = llama._sampler = llama._init_sampler(temp=0.0)
        prefill(llama, verifier, list(trace.prompt), reset=True)
        draws = SimpleNamespace(
            first=ReplayFirst(trace.answer, verifier, chain.sampler, llama.ctx, None),
            node=ReplaySampler(verifier, trace.answer[1:]),
        )
        learn = None if self.hierarchy is None else partial(self.hierarchy.finished, stats=stats)
        yield from Decoder(llama, verifier, self.planner, draws, stats, on_end=learn).run()

    def warm_up(self, trace: Trace) -> None:
        """The cost curve of the planner: a user's store has it from the first use on."""
        if isinstance(self.planner, TreePlanner):
            sampling = TreePlanner(self.llama.n_vocab(), DraftConfig(), cost=self.planner.cost)
            Drafted(self.name, self.llama, sampling, None).decode(beginning(trace))

    def cost_rows(self) -> list[Any]:
        """As the base class."""
        return self.planner.cost.rows() if isinstance(self.planner, TreePlanner) else []


class Base(Arm):
    """llama-cpp-python's own loop and eval on the same weights, with or without its prompt lookup."""

    def __init__(self, name: str, llama: Any, lookup: LlamaPromptLookupDecoding | None) -> None:
        super().__init__(name, llama)
        self.lookup = lookup
        self.scores = np.zeros((llama.n_ctx(), llama.n_vocab()), np.single) if lookup is not None else llama.scores

    def warm_up(self, trace: Trace) -> None:
        """There is nothing to measure."""

    def _generation(self, trace: Trace, stats: GenerationStats) -> Iterator[int]:
        llama = self.llama
        # What the user of llama-cpp-python has typed: it reuses a known prompt only up to its last token.
        llama.verifier.release(llama.n_tokens)
        with self._as_base(trace, stats):
            yield from BaseLlama.generate(llama, list(trace.prompt), temp=0.0)

    @contextmanager
    def _as_base(self, trace: Trace, stats: GenerationStats) -> Any:
        """Lets the object behave as llama_cpp.Llama with this draft model, the sampled token replaced."""
        llama, answer = self.llama, iter(trace.answer)
        ours = (llama.scores, llama._logits_all, llama.draft_model)

        def sample(*args: Any, **kwargs: Any) -> int:
            BaseLlama.sample(llama, *args, **kwargs)
            return next(answer)

        def evaluate(tokens: Any) -> None:
            started = perf_counter()
            BaseLlama.eval(llama, tokens)
            if llama.n_tokens > len(trace.prompt):
                stats.forward_seconds += perf_counter() - started
                stats.forwards += 1
                stats.rows += len(tokens)

        llama.sample, llama.eval = sample, evaluate
        llama.scores, llama._logits_all, llama.draft_model = self.scores, self.lookup is not None, self.lookup
        try:
            yield
        finally:
            del llama.sample, llama.eval
            llama.scores, llama._logits_all, llama.draft_model = ours
            llama.verifier.release(llama.n_tokens)


def make_arms(llama: Any, names: list[str], history: list[Trace], statistics: Path | None) -> list[Arm]:
    """The arms by name; each drafting arm has its own planner and its own empty store in memory.

    Args:
        llama: The loaded model.
        names: Of ARMS.
        history: What the model tier of ``auto-warm`` learned before.
        statistics: File of the statistics tier; None: no such tier.
    """
    return [_make(llama, name, history, statistics) for name in names]


def fill(hierarchy: Hierarchy, texts: Iterable[tuple[list[int], int]]) -> None:
    """Lets the model tier learn texts, each with the length of its prompt."""
    for number, (ids, prompt_len) in enumerate(texts, 1):
        hierarchy.model.learn(np.array(ids, np.int32), prompt_len)
        if number % 16 == 0:
            hierarchy.model.flush()
    hierarchy.model.flush()


def _make(llama: Any, name: str, history: list[Trace], statistics: Path | None) -> Arm:
    if name == "plain":
        return Drafted(name, llama, NoDraft(), None)
    if name.startswith("llama-cpp"):
        return Base(name, llama, LlamaPromptLookupDecoding() if name.endswith("pld") else None)
    config = DraftConfig("paper" if name == "paper" else "auto")
    hierarchy = Hierarchy(identify(llama.model), config, store=None, statistics=statistics, learn=True)
    if name == "auto-warm":
        fill(hierarchy, ((trace.prompt + trace.answer, len(trace.prompt)) for trace in history))
    return Drafted(name, llama, planner_for(config, llama.n_vocab(), hierarchy), hierarchy)
