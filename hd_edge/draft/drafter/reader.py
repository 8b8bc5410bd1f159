"""Reader: a small model that is asked what follows given tokens, in a context window that slides."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hd_edge import _native
from hd_edge.errors import ConfigError, HDEdgeError
from hd_edge.model.chat_prompt import chat_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger("hd_edge")

T = TypeVar("T")

ROOM = 64  # tokens left at least when the window has slid


class Reader:
    """Reads tokens, keeps what the KV cache holds of them, and knows what reading costs.

    Its ``Llama`` stays usable: the KV cache always holds ``input_ids[:n_tokens]``.

    Args:
        llama: A loaded ``hd_edge.Llama`` with a verifier.
        longest: Tokens of the text's end that are read at first, and again whenever the window is full.
        clock: Seconds.
        cancelled: Whether whoever asks wants no answer any more.

    Attributes:
        seconds: What reading has taken in all.
        reads: Forwards made.
        opening: Tokens that a text begins with.
    """

    def __init__(
        self,
        llama: Any,
        *,
        longest: int,
        clock: Callable[[], float] = perf_counter,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.llama = llama
        self.longest = min(longest, llama.n_ctx() - ROOM)
        self.seconds = 0.0
        self.reads = 0
        self._clock, self._cancelled = clock, cancelled
        self.opening = [llama.token_bos()] if llama._model.add_bos_token() else []
        self._from = 0  # first token of the text that is in the window

    def within(self, function: Callable[[], T]) -> T | None:
        """Calls a function that has the model for itself; None, and a line in the log, where that fails or is gone."""
        try:
            with self.llama._life.operation():
                return function()
        except HDEdgeError as error:
            log.warning("the drafter could not read: %s", error)
            return None

    def template(self, messages: list[dict[str, str]]) -> list[int] | None:
        """Tokens of a conversation in the model's chat template; None where that refuses it."""
        try:
            return chat_tokens(self.llama, messages)
        except ConfigError:
            return None

    def begin(self, length: int) -> None:
        """A text of so many tokens comes, and grows."""
        self._from = max(length - self.longest, 0)

    def read(self, tokens: Sequence[int]) -> list[tuple[int, float]]:
        """The likeliest tokens behind these, with their chances, likeliest first; none where reading failed."""
        if len(tokens) - self._from > self.llama.n_ctx():
            self.begin(len(tokens))
        started = self._clock()
        found = self._read(np.array(tokens[self._from :], np.intc))
        self.seconds += self._clock() - started
        return found

    def _read(self, wanted: np.ndarray) -> list[tuple[int, float]]:
        llama = self.llama
        verifier: _native.Verifier = llama._verifier
        known = llama.input_ids[: llama.n_tokens]
        n = min(len(known), len(wanted) - 1)  # the last one again, if need be, for its row
        differ = np.flatnonzero(known[:n] != wanted[:n])
        keep = int(differ[0]) if len(differ) else n
        verifier.begin(keep)
        llama.n_tokens = keep
        llama._requires_eval = True
        while len(wanted) - llama.n_tokens > verifier.max_rows:
            if self._cancelled():
                return []
            most = min(llama.n_batch, len(wanted) - llama.n_tokens - 1)
            llama.eval(wanted[llama.n_tokens : llama.n_tokens + most].tolist())
        verifier.begin(llama.n_tokens)
        last = _native.DraftTree()
        last.add(int(wanted[-1]), -1)
        code = verifier.decode(np.ascontiguousarray(wanted[llama.n_tokens :], np.int32), last)
        if code != 0:
            log.warning("the drafter's forward over %d tokens returned %d", len(wanted) - llama.n_tokens, code)
            return []
        found = verifier.likeliest(0)
        verifier.commit([0])
        llama.input_ids[llama.n_tokens : len(wanted)] = wanted[llama.n_tokens :]
        llama.n_tokens = len(wanted)
        self.reads += 1
        return found
