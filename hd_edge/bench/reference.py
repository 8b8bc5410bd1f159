"""The arms of llama-cpp-python: ``llama_cpp.Llama`` as it is, and with its prompt lookup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from hd_edge.model.chat_prompt import chat_tokens

from .arm import WARM_UP, Answer, Clock, Messages, Settings, check_room, timed
from .drafted import end_test, text_of


class Reference:
    """``llama_cpp.Llama``, all settings those of the other arms.

    Args:
        name: Name of the arm.
        llm: A ``llama_cpp.Llama``, which several such arms may share.
        lookup: Its draft model; None: none.
        clock: Seconds.
    """

    def __init__(self, name: str, llm: Any, lookup: Any = None, *, clock: Clock = perf_counter) -> None:
        self.name = name
        self.llm = llm
        self._lookup = lookup
        self._clock = clock
        # A draft model wants the logits of all rows; the pages of this array are touched only where it writes.
        self._scores = llm.scores if lookup is None else np.zeros((llm.n_ctx(), llm.n_vocab()), np.single)
        self._forwards = self._drafts = self._rows = 0
        self._forward_seconds = 0.0

    def warm_up(self, messages: Messages, settings: Settings) -> None:
        """As ``Arm.warm_up``."""
        with self._as_asked():
            timed(self._generation(chat_tokens(self.llm, messages), settings), WARM_UP, lambda _: False)

    def answer(self, messages: Messages, settings: Settings) -> Answer:
        """As ``Arm.answer``."""
        prompt = chat_tokens(self.llm, messages)
        check_room(prompt, settings)
        with self._as_asked():
            run = timed(self._generation(prompt, settings), settings.max_tokens, end_test(self.llm), self._clock)
        return Answer(
            text=text_of(self.llm, run.ids),
            ids=run.ids,
            prompt_tokens=len(prompt),
            tokens=len(run.ids),
            prompt_seconds=run.prompt_seconds,
            seconds=run.seconds,
            forwards=self._forwards,
            drafts=self._drafts,
            rows=self._rows,
            forward_seconds=self._forward_seconds,
        )

    def _generation(self, prompt: list[int], settings: Settings) -> Callable[[], Iterator[int]]:
        self.llm.reset()
        self.llm.set_seed(settings.seed)
        return lambda: self.llm.generate(prompt, temp=settings.temperature)

    @contextmanager
    def _as_asked(self) -> Iterator[None]:
        """Gives the model this arm's draft model, and counts its forwards after the prompt's."""
        llm, evaluate = self.llm, self.llm.eval
        before = llm.scores, llm._logits_all, llm.draft_model
        self._forwards, self._drafts, self._rows, self._forward_seconds = -1, 0, 0, 0.0

        def counted(tokens: Any) -> None:
            started = self._clock()
            evaluate(tokens)
            self._forwards += 1
            if self._forwards:
                self._forward_seconds += self._clock() - started
                self._rows += len(tokens)
                self._drafts += len(tokens) > 1

        llm.eval = counted
        llm.scores, llm._logits_all, llm.draft_model = self._scores, self._lookup is not None, self._lookup
        try:
            yield
        finally:
            del llm.eval
            llm.scores, llm._logits_all, llm.draft_model = before

    def close(self) -> None:
        """The model belongs to who made the arm."""
