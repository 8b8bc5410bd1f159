"""The arms of hd_edge: one loaded model, a planner and a store for each arm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from llama_cpp import llama_cpp as lib

from hd_edge.config import DraftConfig
from hd_edge.draft.planner import NoDraft
from hd_edge.draft.tree_planner import TreePlanner
from hd_edge.model.chat_prompt import chat_tokens

from .arm import WARM_UP, WARM_UP_DRAFTED, Answer, Clock, Messages, Settings, answered, check_room, timed

if TYPE_CHECKING:
    from hd_edge.draft.planner import Planner
    from hd_edge.tiers.memory import Hierarchy


class Drafted:
    """Answers with a planner; without one, plainly.

    Args:
        name: Name of the arm.
        llm: An ``hd_edge.Llama`` with ``draft="off"``, shared by all arms of this kind.
        planner: Plans its drafts; None: plain decoding.
        hierarchy: The tiers behind the planner.
        clock: Seconds.
    """

    def __init__(
        self,
        name: str,
        llm: Any,
        planner: Planner | None = None,
        hierarchy: Hierarchy | None = None,
        *,
        clock: Clock = perf_counter,
    ) -> None:
        self.name = name
        self.llm = llm
        self.planner = planner or NoDraft()
        self.hierarchy = hierarchy
        self._clock = clock

    def warm_up(self, messages: Messages, settings: Settings) -> None:
        """Also samples the cost curve, which a user's store has from the first use on."""
        planner: Planner = NoDraft()
        tokens = WARM_UP
        if isinstance(self.planner, TreePlanner):
            planner, tokens = TreePlanner(self.llm.n_vocab(), DraftConfig(), cost=self.planner.cost), WARM_UP_DRAFTED
        with self.llm.drafting(planner):
            timed(self._generation(chat_tokens(self.llm, messages), settings), tokens, lambda _: False)

    def answer(self, messages: Messages, settings: Settings) -> Answer:
        """As ``Arm.answer``."""
        llm = self.llm
        prompt = chat_tokens(llm, messages)
        check_room(prompt, settings)
        with llm.drafting(self.planner, self.hierarchy):
            run = timed(self._generation(prompt, settings), settings.max_tokens, end_test(llm), self._clock)
        return answered(run, llm.stats, len(prompt), text_of(llm, run.ids), run.ids)

    def _generation(self, prompt: list[int], settings: Settings) -> Callable[[], Iterator[int]]:
        self.llm.reset()
        self.llm.set_seed(settings.seed)
        return lambda: self.llm.generate(prompt, temp=settings.temperature)

    def cost_rows(self) -> list[Any]:
        """The cost curve that the arm used: (rows, context bucket, seconds, samples)."""
        return self.planner.cost.rows() if isinstance(self.planner, TreePlanner) else []

    def close(self) -> None:
        """Closes the arm's store; the model stays."""
        if self.hierarchy is not None:
            self.hierarchy.close()


class Slowed(Drafted):
    """A planted slow-down, to see whether the benchmark sees it: after each step it sleeps a share of its time.

    Args:
        name: Name of the arm.
        llm: As ``Drafted``.
        share: Of a step's time.
        clock: Seconds.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        name: str,
        llm: Any,
        share: float,
        *,
        clock: Clock = perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(name, llm, clock=clock)
        self._share = share
        self._sleep = sleep

    def _generation(self, prompt: list[int], settings: Settings) -> Callable[[], Iterator[int]]:
        generate = super()._generation(prompt, settings)

        def slowed() -> Iterator[int]:
            generation = generate()
            try:
                started = self._clock()
                for token in generation:
                    self._sleep(self._share * (self._clock() - started))
                    yield token
                    started = self._clock()
            finally:
                generation.close()  # type: ignore[attr-defined]

        return slowed


def end_test(llm: Any) -> Callable[[int], bool]:
    """Whether a token ends the answer."""
    return lambda token: bool(lib.llama_vocab_is_eog(llm._model.vocab, token))


def text_of(llm: Any, ids: list[int]) -> str:
    """The text of an answer."""
    return str(llm.detokenize(ids).decode("utf-8", errors="replace"))
