"""The target's own sampler at each verified row.

Sample-and-match: one draw per emitted token, in order, from the sampler chain that ``llama_cpp`` builds. A drafted
token is kept when it is the one drawn, so the same seed gives the same tokens as plain decoding, with any draft (exact
by construction: every token is the target's own sample).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge import _native
from hd_edge.errors import ConfigError


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
    """The chain of ``llama_cpp``, over the row in place."""

    def __init__(self, verifier: _native.Verifier, chain: Any, ctx: Any, guard: ProcessorGuard | None) -> None:
        self._verifier = verifier
        self._chain = chain
        self._ctx = ctx
        self._guard = guard

    def sample(self, node: int) -> int:
        """Draws at a tree node; raises what a logits processor raised."""
        return self.sample_row(self._verifier.batch_row(node))

    def sample_row(self, row: int) -> int:
        """Draws at a row of the last batch, -1 for its last row."""
        token = int(lib.llama_sampler_sample(self._chain, self._ctx, row))
        if self._guard is not None:
            self._guard.raise_error()
        return token

    def accept(self, token: int) -> None:
        """The token was chosen without the chain."""
        lib.llama_sampler_accept(self._chain, token)

    def member(self, name: bytes) -> Any:
        """The sampler of that name in the chain."""
        members = (lib.llama_sampler_chain_get(self._chain, i) for i in range(lib.llama_sampler_chain_n(self._chain)))
        return next(member for member in members if lib.llama_sampler_name(member) == name)

    def last_row(self, n_vocab: int) -> NDArray[np.float32]:
        """Logits of the last row of the last batch, n_vocab floats."""
        return np.ctypeslib.as_array(lib.llama_get_logits_ith(self._ctx, -1), shape=(n_vocab,))


class GrammarGreedySampler:
    """Largest logit that the grammar allows, for temperature 0 without penalties and processors.

    The largest logit of the whole row is asked alone first. If the grammar allows it, no other token can win, and the
    check of the whole vocabulary (8 ms for 49,000 tokens) is left out; else the chain draws as ever.
    """

    def __init__(self, verifier: _native.Verifier, chain: ChainSampler) -> None:
        self._verifier = verifier
        self._chain = chain
        self._grammar = chain.member(b"grammar")
        self._one = np.zeros(1, CANDIDATE)

    def sample(self, node: int) -> int:
        """Draws at a tree node."""
        token = self._verifier.argmax(node)
        self._one["id"] = token
        if not allows(self._grammar, self._one)[0]:
            return self._chain.sample(node)
        self._chain.accept(token)
        return token


class ProcessorGuard:
    """Keeps what a logits processor raises inside llama.cpp's callback, where ctypes would only print it."""

    def __init__(self, processors: Any) -> None:
        self._processors = processors
        self._error: BaseException | None = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Applies the processors in turn; after an error it leaves the scores as they are."""
        if self._error is not None:
            return scores
        try:
            for processor in self._processors:
                scores = processor(input_ids, scores)
        except BaseException as error:
            self._error = error
        return scores

    def raise_error(self) -> None:
        """Raises the stored error once."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error


CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data


def allows(grammar: Any, candidates: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the candidates (of type ``CANDIDATE``, logits 0) a grammar sampler allows next, as a mask."""
    work = candidates.copy()
    array = lib.llama_token_data_array(
        data=work.ctypes.data_as(ctypes.POINTER(lib.llama_token_data)), size=len(work), selected=-1, sorted=False
    )
    lib.llama_sampler_apply(grammar, ctypes.byref(array))
    return np.asarray(work["logit"] == 0)


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
        greedy, guard = is_greedy(settings), None
        if settings["logits_processor"] is not None:
            guard = ProcessorGuard(settings["logits_processor"])
            settings = {**settings, "logits_processor": [guard]}
        if settings["grammar"] is not None:
            _check_grammar(llama._model.vocab, settings["grammar"])
        self._chain = llama._sampler = llama._init_sampler(**settings)
        self.first = ChainSampler(verifier, self._chain.sampler, llama.ctx, guard)
        self.node: Sampler = self.first
        if greedy and settings["grammar"] is None:
            self.node = GreedySampler(verifier)
        elif greedy:
            self.node = GrammarGreedySampler(verifier, self.first)

    def close(self) -> None:
        """Frees the chain."""
        self._chain.close()


def _check_grammar(vocab: Any, grammar: Any) -> None:
    """llama_cpp would put a null pointer into the chain, and the first draw would end the process."""
    sampler = lib.llama_sampler_init_grammar(vocab, grammar._grammar.encode("utf-8"), grammar._root.encode("utf-8"))
    if not sampler:
        begins, root = grammar._grammar[:60], grammar._root
        msg = f"llama.cpp cannot parse the grammar {begins!r}...: GBNF with a rule {root!r} is expected"
        raise ConfigError(msg)
    lib.llama_sampler_free(sampler)
