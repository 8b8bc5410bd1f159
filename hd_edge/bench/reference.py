"""The arms of llama-cpp-python: ``llama_cpp.Llama`` as it is, and with its prompt lookup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
from llama_cpp import Llama

from hd_edge.stats import GenerationStats

from .arm import Clock, LocalArm


class Reference(LocalArm):
    """``llama_cpp.Llama``, all settings those of the other arms.

    Args:
        name: Name of the arm.
        llm: A ``llama_cpp.Llama``, which several such arms may share; an ``hd_edge.Llama`` decodes as its base class
            does, on the same weights and kernels.
        lookup: Its draft model; None: none.
        clock: Seconds.
    """

    def __init__(self, name: str, llm: Any, lookup: Any = None, *, clock: Clock = perf_counter) -> None:
        super().__init__(name, llm, clock)
        self._lookup = lookup
        # A draft model wants the logits of all rows; the pages of this array are touched only where it writes.
        self._scores = llm.scores if lookup is None else np.zeros((llm.n_ctx(), llm.n_vocab()), np.single)
        self._counts = GenerationStats()

    def _generate(self, prompt: list[int], temperature: float) -> Iterator[int]:
        return iter(Llama.generate(self.llm, prompt, temp=temperature))

    @contextmanager
    def _ready(self, script: Sequence[int] | None) -> Iterator[None]:
        """Gives the model this arm's draft model and script, and counts its forwards after the prompt's."""
        llm, stats = self.llm, GenerationStats(forwards=-1)
        before = llm.scores, llm._logits_all, llm.draft_model
        self._counts = stats

        def evaluate(tokens: Any) -> None:
            started = self._clock()
            Llama.eval(llm, tokens)
            stats.forwards += 1
            if stats.forwards:
                stats.forward_seconds += self._clock() - started
                stats.rows += len(tokens)
                stats.drafts += len(tokens) > 1

        llm.eval = evaluate
        if script is not None:
            tokens = iter(script)

            def sample(*args: Any, **settings: Any) -> int:
                Llama.sample(llm, *args, **settings)
                return next(tokens)

            llm.sample = sample
        llm.scores, llm._logits_all, llm.draft_model = self._scores, self._lookup is not None, self._lookup
        try:
            yield
        finally:
            for name in ("eval", "sample"):
                llm.__dict__.pop(name, None)
            llm.scores, llm._logits_all, llm.draft_model = before

    def _stats(self) -> GenerationStats:
        return self._counts
