"""What hd_edge adds to the completion calls of ``llama_cpp``: predictions, counts of drafted tokens, clear errors.

What would abort the process, or take minutes, is refused here before ``llama_cpp`` sees it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cached_property
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge.backend.grammar import Vocabulary
from hd_edge.backend.tokens import PromptSize
from hd_edge.errors import ClosedError, ConfigError
from hd_edge.model.bias import merge_bias
from hd_edge.model.prediction import Hints, prediction_text
from hd_edge.model.text import Piece, PieceStream
from hd_edge.stats import TIER_NAMES, GenerationStats, prompt_details, timings, token_details

from .counted import Counted
from .guarded import Guarded
from .options import COMPLETION, SEEDS, arguments, as_bytes, check_options, check_seed
from .sampling import guard_chain
from .text_answer import chunks, text_prompt, whole


class Completions(Counted, Guarded):
    """The completion calls of ``hd_edge.Llama``."""

    _hierarchy: Any = None  # the memory that learns what was generated; None: there is none
    _hints = Hints()  # of the generation that begins next

    @property
    def tier(self) -> str:
        """Where the token that the running generation yielded last came from; ``"target"`` if not drafted."""
        return self._decoder.tier if self._decoder is not None else TIER_NAMES[0]

    def catch_up(self) -> None:
        """Learns the generations that ended; else the next one that begins, or ``close()``, does.

        A generator that is dropped learns nothing itself: an exception that a signal raised meanwhile would be lost.
        """
        if self._hierarchy is None or self._life.resting:
            return
        with (
            suppress(ClosedError),
            nullcontext() if self._life.stepping else self._life.operation(ends=False, uses=False),
        ):
            self._hierarchy.catch_up()

    def settling(self) -> AbstractContextManager[None]:
        """For a generation: nobody cancels the forwards of this block."""
        return self._life.settling()

    @contextmanager
    def _calling(self, stream: bool) -> Iterator[None]:
        """A call that answers has the turn in this block, and learns at its end; a stream takes it chunk by chunk."""
        if stream:
            yield
            return
        with self._life.call():
            yield
            self.catch_up()

    def _ends(self, token: int) -> int:
        """1 if this token ends an answer; 0 if not, if there is none (-1), or if the model is gone already."""
        with suppress(ClosedError):
            return int(token >= 0 and bool(self._model.model) and lib.llama_vocab_is_eog(self._model.vocab, token))
        return 0

    def _pieces(self, tokens: list[int], settings: dict[str, Any]) -> Generator[Piece, Any, None]:
        """Text of a generation, piece by piece, until the model ends its answer or the context is full."""
        stream = PieceStream()
        room = self._n_ctx - len(tokens)
        generation = self._tokens(tokens, settings)
        try:
            for token in generation:
                tier = self.tier
                if lib.llama_vocab_is_eog(self._model.vocab, token):
                    break
                yield Piece(stream.feed(self.detokenize([token])), token, tier)
                room -= 1
                if room <= 0:
                    break
        finally:
            generation.close()

    def create_completion(self, prompt: str | list[int], *args: Any, prediction: Any = None, **kwargs: Any) -> Any:
        """As ``llama_cpp.Llama.create_completion``; the result also counts drafted tokens.

        Args:
            prompt: Text or token ids.
            *args: As ``llama_cpp.Llama.create_completion``; ``logprobs`` needs ``logits_all`` only with ``echo``.
            prediction: ``{"type": "content", "content": text}``, as in OpenAI's API: text that the answer is expected
                to repeat, such as the document being edited. Drafts come from it; the answer does not depend on it.
            **kwargs: As ``llama_cpp.Llama.create_completion``.

        Returns:
            A completion whose ``usage.prompt_tokens_details`` has ``cached_tokens`` (known and not computed), whose
            ``usage.completion_tokens_details`` has ``accepted_prediction_tokens`` and
            ``rejected_prediction_tokens`` (drafted tokens of all tiers), and whose ``timings`` has ``draft_n`` and
            ``draft_n_accepted``; or the chunks of one, the last of which has ``timings``.

        Raises:
            ConfigError: ``prediction`` has another shape, an option is out of range, ``echo`` is asked for with
                ``logprobs`` and without ``logits_all``, ``logit_bias`` names no token, or the grammar is too large,
                does not parse, or allows nothing that the other settings leave.
            ContextFullError: The prompt does not fit the context.
            ClosedError: The model was closed, before or meanwhile.
        """
        settings = arguments(COMPLETION, self, prompt, *args, **kwargs)
        del settings["self"], settings["prompt"]
        check_options(settings)
        if settings.get("logprobs") is not None and settings.get("echo") and not self._logits_all:
            mib = self._n_ctx * self._n_vocab * 4 / 2**20
            msg = (
                f"echo with logprobs={settings['logprobs']} needs the logits of every token: load the model with "
                f"logits_all=True (hd-edge serve --logprobs), which takes {mib:.0f} MiB of memory here"
            )
            raise ConfigError(msg)
        if isinstance(prompt, str):
            self.check_size(len(as_bytes("prompt", prompt)))
        merge_bias(settings, self._n_vocab)
        bound = COMPLETION.bind(self, prompt, **settings)
        bound.apply_defaults()
        given = dict(bound.arguments)
        stream = given.pop("stream")
        with self._calling(stream):
            hints = self._hints if prediction is None else Hints(self._prediction_ids(prediction))
            asked = self._life.read(lambda: text_prompt(self, prompt, given["suffix"]))
            made = self._chunks(chunks(self, asked, given), hints)
            if not stream:
                completion = whole(list(made), len(asked.tokens), self.stats.tokens - self.stats.ends)
                add_counts(completion, self.stats)
                return completion
        return self._life.chunks(self._with_timings(made))

    def __call__(self, prompt: str | list[int], *args: Any, **kwargs: Any) -> Any:
        """As ``create_completion``."""
        return self.create_completion(prompt, *args, **kwargs)

    def set_seed(self, seed: int) -> None:
        """As ``llama_cpp.Llama.set_seed``.

        Raises:
            ConfigError: The seed is out of range.
        """
        check_seed(seed, SEEDS)  # llama_cpp draws seeds up to and with 2**32
        super().set_seed(int(seed) % SEEDS)  # no number of numpy: random.Random takes none

    def _init_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """As ``llama_cpp.Llama._init_sampler``; a chain with a grammar draws what the grammar allows, or raises.

        Raises:
            ConfigError: The grammar is too large or does not parse.
        """
        matcher = None
        if (grammar := kwargs.pop("grammar", None)) is not None:
            if not isinstance(grammar, llama_cpp.LlamaGrammar):
                msg = f"grammar is of type {type(grammar).__name__}, expected LlamaGrammar (LlamaGrammar.from_string)"
                raise ConfigError(msg)
            matcher = self.vocabulary.matcher(grammar)
        check_options(kwargs)
        return guard_chain(super()._init_sampler, self._life, self._n_vocab, *args, matcher=matcher, **kwargs)

    def check_size(self, size: int) -> None:
        """Refuses a text of so many bytes that cannot fit the context, before it is tokenized.

        Raises:
            ContextFullError: It cannot.
        """
        self._life.read(lambda: self._prompt_size.check(size))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens as grammars see them."""
        return Vocabulary(self._model)

    @cached_property
    def _prompt_size(self) -> PromptSize:
        return PromptSize(self._model.vocab, self._n_ctx)

    def _prediction_ids(self, prediction: Any) -> NDArray[np.int32]:
        text = prediction_text(prediction)
        data = as_bytes("prediction", text)
        self.check_size(len(data))
        return np.array(self.tokenize(data, add_bos=False, special=False), dtype=np.int32)

    @contextmanager
    def hinted(self, hints: Hints) -> Iterator[None]:
        """A generation that begins in this block drafts from the hints too."""
        before, self._hints = self._hints, hints
        try:
            yield
        finally:
            self._hints = before

    def _chunks(self, chunks: Any, hints: Hints) -> Generator[Any, None, None]:
        """A stream whose generation begins with its first chunk, long after the call that asked for it."""
        try:
            with self.hinted(hints):
                first = next(chunks)
            yield first
            yield from chunks
        finally:
            chunks.close()

    def _with_timings(self, chunks: Iterator[Any]) -> Generator[Any, None, None]:
        for chunk in chunks:
            if chunk["choices"] and chunk["choices"][0]["finish_reason"]:
                chunk["timings"] = timings(self.stats)
            yield chunk
        self.catch_up()


def text_size(message: Any) -> int:
    """Bytes of a chat message's text.

    Raises:
        ConfigError: It has half a surrogate pair.
    """
    content = message.get("content") if isinstance(message, dict) else None
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return sum(len(as_bytes("messages", text)) for text in texts if isinstance(text, str))


def add_counts(completion: dict[str, Any], stats: GenerationStats) -> None:
    """Adds drafted tokens where clients already look for them.

    ``usage.completion_tokens_details`` has OpenAI's names (predicted outputs), ``timings`` those of llama-server.
    """
    completion["usage"]["prompt_tokens_details"] = prompt_details(stats)
    completion["usage"]["completion_tokens_details"] = token_details(stats)
    completion["timings"] = timings(stats)
