"""Draws under a grammar: llama.cpp's chain, with the verdict of our own matcher (``_native.GrammarMatcher``).

llama.cpp's own grammar sampler walks equal ways again and again: a short grammar can take for ever, or all memory, and
nothing stops it. It throws through the C border when a token is accepted that it does not allow, and prints a client's
text where it cannot parse it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge import _native
from hd_edge.errors import ConfigError

from .gbnf import parse
from .lazy_grammar import LazyGrammar, LazyMatcher
from .tokens import token_bytes, tokens_of

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
AMBIGUOUS = "the grammar has too many ways to go on at once: let its alternatives and repetitions begin differently"


Matcher = _native.GrammarMatcher | LazyMatcher


class Vocabulary:
    """The tokens of a model as grammars see them; read once (0.1 s for 50,000 tokens).

    Args:
        model: ``llama_cpp``'s ``LlamaModel``; its ``llama_vocab`` must outlive this object.

    Attributes:
        pieces: Of all tokens, for matchers.
        piece: Bytes of a token; empty for control tokens.
        tokenize: Plain text.
    """

    def __init__(self, model: Any) -> None:
        vocab = model.vocab
        n_vocab = int(lib.llama_vocab_n_tokens(vocab))
        self.piece: Callable[[int], bytes] = lambda token: token_bytes(vocab, token, special=False)
        self.tokenize: Callable[[bytes], list[int]] = lambda text: tokens_of(vocab, text, False, False)
        self._token: Callable[[str], int] = lambda text: one(model.tokenize(text.encode("utf-8"), False, True))
        self._parsed: tuple[tuple[str, str], _native.GrammarRules] | None = None  # a draw and a draft ask for one
        pieces = [token_bytes(vocab, token, special=True) for token in range(n_vocab)]
        self.of_byte = {piece[0]: token for token, piece in enumerate(pieces) if len(piece) == 1}
        ends = [bool(lib.llama_vocab_is_eog(vocab, token)) for token in range(n_vocab)]
        self.pieces = _native.TokenPieces(pieces, ends)
        self._whole: Callable[[int], bytes] = lambda token: token_bytes(vocab, token, special=True)

    def matcher(self, grammar: Any) -> Matcher:
        """A matcher at the beginning of a text.

        Args:
            grammar: ``LlamaGrammar`` of llama_cpp.

        Raises:
            ConfigError: The grammar does not parse, is too large, allows no text, or has too many ways to begin.
        """
        matcher = self._matcher(grammar)
        if not isinstance(grammar, LazyGrammar):
            return matcher
        return LazyMatcher(grammar, lambda: self._matcher(grammar), self._whole, self.of_byte, len(self.pieces))

    def _matcher(self, grammar: Any) -> _native.GrammarMatcher:
        key = grammar._grammar, grammar._root
        if self._parsed is None or self._parsed[0] != key:
            self._parsed = key, parse(*key, self._token)
        try:
            matcher = _native.GrammarMatcher(self._parsed[1], self.pieces)
        except _native.TooManyWays:
            raise ConfigError(AMBIGUOUS + ", and no rule with itself") from None
        if not matcher.alive:
            msg = f"the grammar allows no text: each alternative of the rule {grammar._root!r} begins with itself"
            raise ConfigError(msg)
        return matcher


class GrammarDraw:
    """Draws from a chain as ``llama_sampler_sample`` does; the grammar stands behind the penalties, as in llama_cpp.

    A processor, a bias or ``min_tokens`` may rule out every token that the grammar allows; what the chain then draws
    is not accepted.

    Args:
        sampler: ``LlamaSampler`` of llama_cpp, its chain without a grammar: this puts one in.
        place: Where in the chain.
        matcher: Follows the text.
        n_vocab: Size of the vocabulary.
    """

    def __init__(self, sampler: Any, place: int, matcher: Matcher, n_vocab: int) -> None:
        self._chain = chain = sampler.sampler
        self._matcher = matcher
        self._candidates = np.zeros(n_vocab, CANDIDATE)
        self._ids = np.arange(n_vocab, dtype=np.int32)
        self._error: BaseException | None = None
        behind = [lib.llama_sampler_chain_remove(chain, place) for _ in range(place, lib.llama_sampler_chain_n(chain))]
        sampler.add_custom(self._apply)
        for member in behind:
            lib.llama_sampler_chain_add(chain, member)

    def __call__(self, ctx: Any, row: int) -> int:
        """Draws at a row of the last batch, -1 for its last row.

        Raises:
            ConfigError: No token that the grammar allows is left by the other settings, or it has too many ways.
        """
        if isinstance(self._matcher, LazyMatcher) and self._matcher.waiting:
            token = int(lib.llama_sampler_sample(self._chain, ctx, row))
            self._matcher.accept(token)
            return token
        candidates = self._candidates
        candidates["id"], candidates["p"] = self._ids, 0
        candidates["logit"] = np.ctypeslib.as_array(lib.llama_get_logits_ith(ctx, row), shape=self._ids.shape)
        data = candidates.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
        array = lib.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)
        lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        token = int(array.data[array.selected].id) if 0 <= array.selected < array.size else -1
        if token < 0 or not self.allowed(token):
            msg = (
                f"the grammar allows no token that logit_bias, min_tokens and logits processors leave, {token} was "
                "drawn: let the grammar end later, or rule out less"
            )
            raise ConfigError(msg)
        self.accept(token)
        return token

    def allowed(self, token: int) -> bool:
        """True if the grammar allows this token next.

        Raises:
            ConfigError: It has too many ways.
        """
        return bool(asked(lambda: self._matcher.allows(token)))

    def accept(self, token: int) -> None:
        """The text goes on with a token that is allowed.

        Raises:
            ConfigError: The grammar has too many ways.
        """
        asked(lambda: self._matcher.accept(token))
        lib.llama_sampler_accept(self._chain, token)

    def _apply(self, array: Any) -> None:
        """Called by llama.cpp, through which nothing can be raised."""
        if isinstance(self._matcher, LazyMatcher) and self._matcher.waiting:
            return
        try:
            size, address = array.contents.size, ctypes.addressof(array.contents.data.contents)
            data = (ctypes.c_ubyte * (size * CANDIDATE.itemsize)).from_address(address)
            candidates = np.frombuffer(data, CANDIDATE)
            candidates["logit"][~allowed_tokens(self._matcher)[candidates["id"]]] = -np.inf
        except BaseException as error:
            self._error = error


def one(tokens: list[int]) -> int:
    """The only token, or -1."""
    return int(tokens[0]) if len(tokens) == 1 else -1


def allowed_tokens(matcher: Matcher) -> NDArray[np.bool_]:
    """A mask of the vocabulary: what may come next.

    Raises:
        ConfigError: The grammar has too many ways.
    """
    return np.frombuffer(asked(matcher.mask), np.bool_)


def asked(ask: Callable[[], Any]) -> Any:
    """An answer of a matcher.

    Raises:
        ConfigError: The grammar has too many ways.
    """
    try:
        return ask()
    except _native.TooManyWays:
        raise ConfigError(AMBIGUOUS) from None
