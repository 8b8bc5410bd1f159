"""What hd_edge adds to the completion calls of ``llama_cpp``: predictions, counts of drafted tokens, clear errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from hd_edge.engine.prefill import too_long
from hd_edge.errors import ContextFullError, HDEdgeError
from hd_edge.stats import GenerationStats

from .prediction import prediction_text


class Completions(llama_cpp.Llama):  # type: ignore[misc]
    """The completion calls of ``hd_edge.Llama``."""

    stats: GenerationStats
    _expected: NDArray[np.int32] | None = None  # what the generation that begins next is predicted to say

    def create_completion(self, prompt: str | list[int], *args: Any, prediction: Any = None, **kwargs: Any) -> Any:
        """As ``llama_cpp.Llama.create_completion``; the result also counts drafted tokens.

        Args:
            prompt: Text or token ids.
            *args: As ``llama_cpp.Llama.create_completion``.
            prediction: ``{"type": "content", "content": text}``, as in OpenAI's API: text that the answer is expected
                to repeat, such as the document being edited. Drafts come from it; the answer does not depend on it.
            **kwargs: As ``llama_cpp.Llama.create_completion``.

        Returns:
            A completion whose ``usage.prompt_tokens_details`` has ``cached_tokens`` (known and not computed), whose
            ``usage.completion_tokens_details`` has ``accepted_prediction_tokens`` and
            ``rejected_prediction_tokens`` (drafted tokens of all tiers), and whose ``timings`` has ``draft_n`` and
            ``draft_n_accepted``; or the chunks of one, the last of which has ``timings``.

        Raises:
            ConfigError: ``prediction`` has another shape.
            ContextFullError: The prompt does not fit the context.
        """
        expected = self._expected if prediction is None else self._prediction_ids(prediction)
        with self._expecting(expected), self._context_errors(prompt):
            completion = super().create_completion(prompt, *args, **kwargs)
        if isinstance(completion, dict):
            add_counts(completion, self.stats)
            return completion
        return self._with_timings(self._chunks(completion, expected, prompt))

    def __call__(self, prompt: str | list[int], *args: Any, **kwargs: Any) -> Any:
        """As ``create_completion``."""
        return self.create_completion(prompt, *args, **kwargs)

    def create_chat_completion(self, *args: Any, prediction: Any = None, **kwargs: Any) -> Any:
        """As ``llama_cpp.Llama.create_chat_completion``, with ``prediction`` and counts as in ``create_completion``.

        Raises:
            ConfigError: ``prediction`` has another shape.
            ContextFullError: The conversation does not fit the context.
        """
        expected = None if prediction is None else self._prediction_ids(prediction)
        with self._expecting(expected):
            completion = super().create_chat_completion(*args, **kwargs)
        if isinstance(completion, dict):
            add_counts(completion, self.stats)
            return completion
        return self._with_timings(completion)

    def _prediction_ids(self, prediction: Any) -> NDArray[np.int32]:
        text = prediction_text(prediction)
        return np.array(self.tokenize(text.encode("utf-8"), add_bos=False, special=False), dtype=np.int32)

    @contextmanager
    def _expecting(self, expected: NDArray[np.int32] | None) -> Iterator[None]:
        """A generation that begins in this block drafts from `expected` too."""
        before, self._expected = self._expected, expected
        try:
            yield
        finally:
            self._expected = before

    @contextmanager
    def _context_errors(self, prompt: str | list[int]) -> Iterator[None]:
        """Gives llama_cpp's plain ValueError for a long prompt its type."""
        try:
            yield
        except ValueError as error:
            if isinstance(error, HDEdgeError):
                raise
            n = len(prompt) if isinstance(prompt, list) else len(self.tokenize(prompt.encode("utf-8"), special=True))
            if n < self._n_ctx:
                raise
            raise ContextFullError(too_long(n, self._n_ctx)) from error

    def _chunks(self, chunks: Any, expected: NDArray[np.int32] | None, prompt: str | list[int]) -> Iterator[Any]:
        """A stream whose generation begins with its first chunk, long after the call that asked for it."""
        try:
            with self._expecting(expected), self._context_errors(prompt):
                first = next(chunks)
            yield first
            yield from chunks
        finally:
            chunks.close()

    def _with_timings(self, chunks: Iterator[Any]) -> Iterator[Any]:
        for chunk in chunks:
            if chunk["choices"] and chunk["choices"][0]["finish_reason"]:
                chunk["timings"] = timings(self.stats)
            yield chunk


def add_counts(completion: dict[str, Any], stats: GenerationStats) -> None:
    """Adds drafted tokens where clients already look for them.

    ``usage.completion_tokens_details`` has OpenAI's names (predicted outputs), ``timings`` those of llama-server.
    """
    completion["usage"]["prompt_tokens_details"] = prompt_details(stats)
    completion["usage"]["completion_tokens_details"] = token_details(stats)
    completion["timings"] = timings(stats)


def token_details(stats: GenerationStats) -> dict[str, int]:
    """OpenAI's ``completion_tokens_details``: drafted tokens that the target accepted and rejected."""
    accepted, drafted = sum(stats.accepted.values()), sum(stats.drafted.values())
    return {"accepted_prediction_tokens": accepted, "rejected_prediction_tokens": drafted - accepted}


def prompt_details(stats: GenerationStats) -> dict[str, int]:
    """OpenAI's ``prompt_tokens_details``: prompt tokens that were known and not computed."""
    return {"cached_tokens": stats.cached_tokens}


def timings(stats: GenerationStats) -> dict[str, Any]:
    """llama-server's ``timings``: milliseconds and token counts of prompt, answer and drafts."""
    return {
        "prompt_n": stats.prompt_tokens,
        "cache_n": stats.cached_tokens,
        "prompt_ms": stats.prompt_seconds * 1e3,
        "predicted_n": stats.tokens,
        "predicted_ms": stats.seconds * 1e3,
        "predicted_per_second": stats.tokens_per_second,
        "draft_n": sum(stats.drafted.values()),
        "draft_n_accepted": sum(stats.accepted.values()),
    }
