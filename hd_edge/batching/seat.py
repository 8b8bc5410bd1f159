"""Seat: a ``Llama`` for one of many conversations. It takes requests as a ``Llama`` does; the loop makes the tokens."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hd_edge import _native
from hd_edge.draft.jump_forward import ForcedTokens
from hd_edge.draft.planner import NO_PREDICTION
from hd_edge.engine.prefill import check_prompt
from hd_edge.errors import DecodeError
from hd_edge.stats import TIER_NAMES, GenerationStats

from .one_of_many import SHARED, OneOfMany
from .request import Request, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .loop import Loop
    from .shared_llama import SharedLlama

OF_ONE = ("_stack", "_prompt_size", "_kept_template", "shared")  # of the model alone, or made for its own context


class Flag:
    """What ``cancel()`` raises, as ``engine.life`` knows it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.cancelled = self.abandoned = False
        self.request: Request | None = None

    def cancel(self) -> None:
        """Any thread, at any moment."""
        self.cancelled = True
        if (request := self.request) is not None:
            self._loop.cancel(request)

    def abandon(self) -> None:
        """Nobody wants the answer that is to be given, whether its generation has begun or not."""
        self.abandoned = True
        self.cancel()

    def clear_cancel(self) -> None:
        """What was cancelled has ended."""
        self.cancelled = False


class Seat(OneOfMany):
    """Shares the weights and the context of a loaded model.

    Args:
        model: Loaded; it must outlive this.
        loop: Makes its tokens.
        window: Tokens of its conversation, prompt included.
    """

    def __init__(self, model: SharedLlama, loop: Loop, window: int) -> None:
        shared = {name: value for name, value in model.__dict__.items() if name not in OF_ONE}
        self.__dict__.update(shared)
        self._begin_life()
        self._verifier = model._verifier  # for whoever asks whether it decodes plainly
        self._loop, self.flag = loop, Flag(loop)
        self._life.threads = model._life.threads
        self._life.attach(self.flag)
        self._n_ctx = window
        self.input_ids, self.n_tokens = np.zeros(window, np.intc), 0
        self._begin_counting()
        self._sampler = self._prefixes = self._hierarchy = None
        self.checkpoints = self.on_prefill = self.on_step = None
        self._tier = TIER_NAMES[0]
        self._request: Request | None = None  # the last one
        self.tokenizer_ = model.tokenizer_

    @property
    def answers(self) -> bool:
        """Whether its engine's thread lives, which makes the tokens."""
        return self._loop.runs

    @property
    def tier(self) -> str:
        """Where the token that was handed out last came from."""
        return self._tier

    def n_ctx(self) -> int:
        """Tokens of one conversation."""
        return self._n_ctx

    @property
    def _input_ids(self) -> NDArray[np.intc]:
        """What logits processors are told, in the thread that draws: the tokens as made, not as read."""
        return self.input_ids[: self.n_tokens] if self._request is None else self._request.prefix()

    def catch_up(self) -> None:
        """Nothing: the loop learns."""

    def _drafted(
        self,
        verifier: _native.Verifier,  # noqa: ARG002
        tokens: list[int],
        settings: dict[str, Any],
        stats: GenerationStats,
    ) -> Generator[int, Sequence[int] | None, None]:
        del settings["reset"]
        stop, grammar, rows = settings.pop("stopping_criteria"), settings["grammar"], Rows()
        samplers = self.samplers(self, rows, settings)
        stats.prompt_tokens = len(tokens)
        prediction, limit = self._hints.prediction, self._hints.limit
        request = Request(
            *(check_prompt(self, tokens, reset=True), limit or self._n_ctx, rows, samplers.node, stats, stop),
            prediction=NO_PREDICTION if prediction is None else prediction,
            forced=None if grammar is None else ForcedTokens(self.vocabulary, grammar),
            on_prefill=self.on_prefill,
        )
        self.flag.request = self._request = request
        if self.flag.cancelled or self.flag.abandoned:
            return
        self.n_tokens = len(request.prompt)
        self.input_ids[: self.n_tokens] = request.prompt
        self._loop.submit(request)
        try:
            for token, self._tier in request.read():
                if stats.tokens:
                    self.input_ids[self.n_tokens] = stats.last
                    self.n_tokens += 1
                stats.tokens += 1
                stats.last = token
                if (yield token) is not None:
                    raise DecodeError(SHARED)
        finally:
            self.flag.request = None
            self._loop.cancel(request)
            request.drain()

    def _free(self) -> None:
        """The model is not its own."""
