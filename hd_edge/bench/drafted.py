"""The arms of hd_edge: one loaded model, a planner and a store for each arm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hd_edge.config import DraftConfig
from hd_edge.draft.planner import NoDraft
from hd_edge.draft.tree_planner import TreePlanner
from hd_edge.model.prediction import Hints

from .arm import WARM_UP_DRAFTED, Clock, LocalArm, Messages, Settings
from .script import following

if TYPE_CHECKING:
    from hd_edge.draft.planner import Planner
    from hd_edge.stats import GenerationStats
    from hd_edge.tiers.memory import Hierarchy


class Drafted(LocalArm):
    """Answers with a planner; without one, plainly.

    Args:
        name: Name of the arm.
        llm: An ``hd_edge.Llama`` that may draft, shared by all arms of this kind.
        planner: Plans its drafts; None: plain decoding.
        hierarchy: The tiers behind the planner.
        clock: Seconds.
        messages: The conversation that became these tokens, for the drafter; None: no conversation did.
    """

    def __init__(
        self,
        name: str,
        llm: Any,
        planner: Planner | None = None,
        hierarchy: Hierarchy | None = None,
        *,
        clock: Clock = perf_counter,
        messages: Callable[[tuple[int, ...]], Messages | None] = lambda _tokens: None,
    ) -> None:
        super().__init__(name, llm, clock)
        self._messages = messages
        self.planner = planner or NoDraft()
        self.hierarchy = hierarchy

    def warm_up(self, prompt: Sequence[int], settings: Settings) -> None:
        """Also samples the cost curve, which a user's store has from the first use on."""
        arm = Drafted(self.name, self.llm)
        if isinstance(self.planner, TreePlanner):
            arm.planner = TreePlanner(self.llm.n_vocab(), DraftConfig(), cost=self.planner.cost)
            arm.warm_up_tokens = WARM_UP_DRAFTED
        LocalArm.warm_up(arm, prompt, settings)

    def _generate(self, prompt: list[int], temperature: float) -> Iterator[int]:
        messages = self._messages(tuple(prompt))
        try:
            with nullcontext() if messages is None else self.llm.hinted(Hints(messages=messages)):
                yield from self.llm.generate(prompt, temp=temperature)
        finally:
            self.llm.catch_up()  # what learning costs is the answer's

    @contextmanager
    def _ready(self, script: Sequence[int] | None) -> Iterator[None]:
        if isinstance(self.planner, TreePlanner):
            self.planner.recycles = script is None  # the rows foretell another text than the script
        with self.llm.drafting(self.planner, self.hierarchy), following(self.llm, script):
            yield

    def _stats(self) -> GenerationStats:
        stats: GenerationStats = self.llm.stats
        return stats

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

    def _generate(self, prompt: list[int], temperature: float) -> Iterator[int]:
        generation = super()._generate(prompt, temperature)
        try:
            started = self._clock()
            for token in generation:
                self._sleep(self._share * (self._clock() - started))
                yield token
                started = self._clock()
        finally:
            generation.close()  # type: ignore[attr-defined]
