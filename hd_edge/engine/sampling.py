"""The target's own sampler at each verified row.

Sample-and-match: one draw per output token, in order, from the sampler chain that ``llama_cpp`` builds. A drafted
token is kept when it is the one drawn, so the same seed gives the same tokens as plain decoding, with any draft (exact
by construction: every token is the target's own sample).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge import _native
from hd_edge.backend.grammar import GrammarDraw, Matcher
from hd_edge.errors import ConfigError
from hd_edge.model.bias import processor_list

from .penalised import MOST_RECENT, PenalisedGreedySampler, Recent

if TYPE_CHECKING:
    from .life import Life


class Sampler(Protocol):
    """Draws the next token from the logits of one verified row."""

    def sample(self, node: int) -> int:
        """Token drawn at a node of the verified tree; advances penalties, grammar and random numbers."""
        ...


class Draws(Protocol):
    """What one generation draws with."""

    first: ChainSampler  # from the prefill's last row
    node: Sampler  # at the nodes of verified trees


class GreedySampler:
    """Largest logit, natively: for temperature 0 without penalties, processors or grammar."""

    def __init__(self, verifier: _native.Verifier) -> None:
        self.sample: Callable[[int], int] = verifier.argmax


class ChainSampler:
    """The chain of ``llama_cpp``, over the row in place; tells ``recent`` what it accepts."""

    def __init__(self, verifier: _native.Verifier, sampler: Any, ctx: Any, recent: Recent) -> None:
        self._verifier = verifier
        self._chain = sampler.sampler
        self._ctx = ctx
        self._guard: ProcessorGuard | None = sampler.guard
        self._recent = recent
        self.draw: GrammarDraw | None = sampler.draw  # for chains with a grammar

    def sample(self, node: int) -> int:
        """Draws at a tree node; raises what a logits processor raised."""
        return self.sample_row(self._verifier.batch_row(node))

    def sample_row(self, row: int) -> int:
        """Draws at a row of the last batch, -1 for its last row."""
        if self.draw is not None:
            token = self.draw(self._ctx, row)
        else:
            token = int(lib.llama_sampler_sample(self._chain, self._ctx, row))
        if self._guard is not None:
            self._guard.raise_error()
        self._recent.add(token)
        return token

    def accept(self, token: int) -> None:
        """The token was chosen without the chain."""
        if self.draw is not None:
            self.draw.accept(token)
        else:
            lib.llama_sampler_accept(self._chain, token)
        self._recent.add(token)

    def last_row(self, n_vocab: int) -> NDArray[np.float32]:
        """Logits of the last row of the last batch, n_vocab floats; a copy, whoever gets it may keep it."""
        return np.ctypeslib.as_array(lib.llama_get_logits_ith(self._ctx, -1), shape=(n_vocab,)).copy()


class GrammarGreedySampler:
    """Largest logit that the grammar allows, for temperature 0 without penalties and processors.

    The largest logit of the whole row is asked alone first. If the grammar allows it, no other token can win, and the
    chain's passes over the whole vocabulary are left out; else the chain draws as ever.
    """

    def __init__(self, verifier: _native.Verifier, chain: ChainSampler, draw: GrammarDraw) -> None:
        self._verifier = verifier
        self._chain = chain
        self._allowed = draw.allowed

    def sample(self, node: int) -> int:
        """Draws at a tree node."""
        token = self._verifier.argmax(node)
        if not self._allowed(token):
            return self._chain.sample(node)
        self._chain.accept(token)
        return token


class ProcessorGuard:
    """Keeps what a logits processor raises inside llama.cpp's callback, where ctypes would only print it.

    Processors get a copy of the scores: llama.cpp's are gone after the draw.

    Args:
        processors: Of the user.
        life: They run within a step of its model.
    """

    def __init__(self, processors: Any, life: Life) -> None:
        self._processors = [life.callback(processor) for processor in processor_list(processors)]
        self._error: BaseException | None = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Applies the processors in turn; after an error it leaves the scores as they are."""
        if self._error is not None:
            return scores
        changed = np.array(scores)
        try:
            for processor in self._processors:
                changed = processor(input_ids, changed)
                _check_scores(changed, len(scores))
        except BaseException as error:
            self._error = error
            return scores
        return changed

    def raise_error(self) -> None:
        """Raises the stored error once."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error


def _check_scores(scores: Any, n_vocab: int) -> None:
    """Refuses what a logits processor returned: ctypes would print an error, and the draw go on without it."""
    try:
        array = np.asarray(scores)
        fits = array.dtype.kind in "fiub" and array.shape in ((n_vocab,), (1, n_vocab))
    except (TypeError, ValueError, RuntimeError):
        fits = False
    if not fits:
        shape = getattr(scores, "shape", None)
        what = repr(scores)[:40] if shape is None else f"{type(scores).__name__} of shape {shape}"
        msg = f"a logits processor returned {what}, expected {n_vocab} numbers: the scores it was given, changed or not"
        raise ConfigError(msg)


def is_greedy(settings: dict[str, Any]) -> bool:
    """True if these ``generate()`` settings always take the largest raw logit, or the largest the grammar allows."""
    return (
        settings["temp"] == 0.0
        and settings["repeat_penalty"] == 1.0
        and settings["frequency_penalty"] == 0.0
        and settings["presence_penalty"] == 0.0
        and settings["logits_processor"] is None
    )


class Samplers:
    """What one generation draws with: the chain for the prefill's last row, and for tree nodes the fastest equal way.

    Args:
        llama: Builds the chain (``llama_cpp.Llama._init_sampler``).
        verifier: Holds the rows.
        settings: Sampling arguments of ``generate()``.

    Raises:
        ConfigError: The grammar does not parse.
    """

    def __init__(self, llama: Any, verifier: _native.Verifier, settings: dict[str, Any]) -> None:
        self._chain = llama._sampler = llama._init_sampler(**settings)
        recent = Recent(llama.last_n_tokens_size)
        self.first = ChainSampler(verifier, self._chain, llama.ctx, recent)
        self.node: Sampler = self.first
        if is_greedy(settings):
            draw = self._chain.draw
            self.node = GreedySampler(verifier) if draw is None else GrammarGreedySampler(verifier, self.first, draw)
        elif (
            settings["temp"] == 0.0  # penalties and no more
            and settings["logits_processor"] is None
            and settings["grammar"] is None
            and len(recent.tokens) <= MOST_RECENT
        ):
            self.node = PenalisedGreedySampler(verifier, self._chain.sampler, recent)


def guard_chain(
    build: Callable[..., Any],
    life: Life,
    n_vocab: int,
    *args: Any,
    logits_processor: Any = None,
    matcher: Matcher | None = None,
    **kwargs: Any,
) -> Any:
    """A chain of llama_cpp whose draws raise what processors raise, and accept nothing that its grammar forbids.

    Args:
        build: ``llama_cpp.Llama._init_sampler``.
        life: Of the model.
        n_vocab: Size of the vocabulary.
        *args: For ``build``.
        logits_processor: As in llama_cpp.
        matcher: Of the grammar that is drawn under, if any.
        **kwargs: For ``build``.

    Returns:
        A ``LlamaSampler`` with two attributes more, ``draw`` and ``guard``: what its ``sample()`` does for a grammar
        and for processors, or None.
    """
    guard = None if logits_processor is None else ProcessorGuard(logits_processor, life)
    sampler = build(*args, logits_processor=None if guard is None else [guard], **kwargs)
    place = 1 if guard is None else 2  # behind processors and penalties, as in llama_cpp
    draw = None if matcher is None else GrammarDraw(sampler, place, matcher, n_vocab)
    chain = sampler.sampler

    def sample(context: Any, row: int = -1) -> int:  # refers to the chain, not to its owner: no cycle
        token = int(lib.llama_sampler_sample(chain, context.ctx, row)) if draw is None else draw(context.ctx, row)
        if guard is not None:
            guard.raise_error()
        return token

    sampler.draw, sampler.guard = draw, guard
    if draw is not None or guard is not None:
        sampler.sample = sample
    return sampler


def close_chain(llama: Any) -> None:
    """Frees the chain that ``llama`` draws with; the next draw builds its own.

    llama_cpp's custom samplers are reference cycles that hold the model: they are taken apart.
    """
    sampler, llama._sampler = llama._sampler, None
    if sampler is not None:
        sampler.close()
        for _, custom in sampler.custom_samplers:
            vars(custom).clear()
        sampler.custom_samplers.clear()
