"""Grammars (GBNF): what is refused before llama.cpp parses one, and draws that no grammar can end the process with.

llama.cpp parses a grammar recursively, copies what is repeated, and throws through the C border when a token is
accepted that the grammar does not allow. So a text is measured before it is parsed, and the grammar is asked before a
token is accepted.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any, Protocol

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge.errors import ConfigError

from .log import captured_log
from .tokens import CANDIDATE

MOST_BYTES = 256 * 1024  # of a grammar's text
MOST_NESTED = 2100  # brackets in brackets; the parser recurses, some 400 bytes of stack for each
MOST_REPEATED = 2000  # {m,n}: llama.cpp's own limit for one rule
MOST_ELEMENTS = 20_000  # with repetitions written out; alternatives cost their square

WORDS = re.compile(
    r'(?P<literal>"(?:[^"\\]|\\.)*")|(?P<class>\[(?:[^\]\\]|\\.)*\])|(?P<comment>#[^\n]*)'
    r"|(?P<times>\{\s*(?P<least>\d*)\s*(?P<comma>,?)\s*(?P<most>\d*)\s*\})|(?P<bracket>[()])|(?P<suffix>[*+?])"
    r"|(?P<one>[A-Za-z0-9_-]+|\||\.)",
    re.DOTALL,
)


def allows(grammar: Any, candidates: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the candidates (of type ``CANDIDATE``, logits 0) a grammar sampler allows next, as a mask."""
    work = candidates.copy()
    array = lib.llama_token_data_array(
        data=work.ctypes.data_as(ctypes.POINTER(lib.llama_token_data)), size=len(work), selected=-1, sorted=False
    )
    lib.llama_sampler_apply(grammar, ctypes.byref(array))
    return np.asarray(work["logit"] == 0)


def check_grammar(vocab: Any, text: str, root: str) -> None:
    """Refuses a grammar that is too large to parse, or does not parse.

    Args:
        vocab: ``llama_vocab*``.
        text: GBNF.
        root: Name of its first rule.

    Raises:
        ConfigError: Names the limit and the value, or the text that llama.cpp cannot parse; a null pointer in a sampler
            chain would end the process at the first draw.
    """
    check_size(text)
    with captured_log():
        sampler = lib.llama_sampler_init_grammar(vocab, text.encode("utf-8"), root.encode("utf-8"))
    if not sampler:
        msg = f"llama.cpp cannot parse the grammar {text[:60]!r}...: GBNF with a rule {root!r} is expected"
        raise ConfigError(msg)
    lib.llama_sampler_free(sampler)


def check_size(text: str) -> None:
    """Refuses a grammar by its length, nesting, repetitions, and elements with the repetitions written out.

    Raises:
        ConfigError: Names the limit and the value.
    """
    _at_most("bytes", len(text.encode("utf-8", "surrogatepass")), MOST_BYTES)
    depth = elements = last = 0  # last: size of what a repetition would repeat
    for word in WORDS.finditer(text):
        kind, size = word.lastgroup, 1
        if kind in ("literal", "class"):
            size = len(word[0]) - 2
        elif kind == "bracket":
            depth += 1 if word[0] == "(" else -1
            _at_most("brackets in brackets", depth, MOST_NESTED)
        elif kind in ("times", "least", "comma", "most"):
            size = last * _times(word)
        elif kind == "suffix":
            size = last
        if kind != "comment":
            elements, last = elements + size, max(size, 1)
            _at_most("elements with its repetitions written out", elements, MOST_ELEMENTS)


def _times(word: re.Match[str]) -> int:
    numbers = [int(number) if len(number) < 9 else 10**9 for number in (word["least"], word["most"]) if number]
    times = max(numbers, default=0)
    _at_most("repetitions of one item", times, MOST_REPEATED)
    return times


def _at_most(what: str, value: int, limit: int) -> None:
    if value > limit:
        msg = f"the grammar has {value} {what}, at most {limit} are taken: make it smaller"
        raise ConfigError(msg)


class Wait(Protocol):
    """What waits for a grammar to begin."""

    def feed(self, token: int) -> Any:
        """A token was drawn; gives the grammar sampler that begins behind it, or None."""
        ...


class CheckedDraw:
    """Draws from a sampler chain with a grammar, as ``llama_sampler_sample`` does, but asks the grammar first.

    A processor, a bias or ``min_tokens`` may rule out every token that the grammar allows; what the chain then draws
    must not be accepted.

    Args:
        sampler: ``LlamaSampler`` of llama_cpp, whose chain holds a grammar, or will.
        n_vocab: Size of the vocabulary.
        waiting: Gives the grammar when it begins, for a chain without one.
    """

    def __init__(self, sampler: Any, n_vocab: int, waiting: Wait | None = None) -> None:
        self._chain = sampler.sampler
        self._waiting = waiting
        self._place = len(sampler.custom_samplers) + 1  # of a grammar: behind processors and penalties
        self._grammar = _grammar_of(sampler) if waiting is None else None
        self._candidates = np.zeros(n_vocab, CANDIDATE)
        self._ids = np.arange(n_vocab, dtype=np.int32)
        self._one = np.zeros(1, CANDIDATE)

    def __call__(self, ctx: Any, row: int) -> int:
        """Draws at a row of the last batch, -1 for its last row.

        Raises:
            ConfigError: No token that the grammar allows is left by the other settings.
        """
        if self._grammar is None:
            token = int(lib.llama_sampler_sample(self._chain, ctx, row))
            self._watch(token)
            return token
        candidates = self._candidates
        candidates["id"], candidates["p"] = self._ids, 0
        candidates["logit"] = np.ctypeslib.as_array(lib.llama_get_logits_ith(ctx, row), shape=self._ids.shape)
        data = candidates.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
        array = lib.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)
        lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        token = int(array.data[array.selected].id) if 0 <= array.selected < array.size else -1
        if token < 0 or not self.allowed(token):
            msg = (
                f"the grammar allows no token that logit_bias, min_tokens and logits processors leave, {token} was "
                "drawn: let the grammar end later, or rule out less"
            )
            raise ConfigError(msg)
        lib.llama_sampler_accept(self._chain, token)
        return token

    def accept(self, token: int) -> None:
        """The token was chosen without the chain."""
        lib.llama_sampler_accept(self._chain, token)
        self._watch(token)

    def allowed(self, token: int) -> bool:
        """True if the grammar allows this token next."""
        if self._grammar is None:
            return True
        self._one["id"] = token
        return bool(allows(self._grammar, self._one)[0])

    def _watch(self, token: int) -> None:
        """Puts the grammar into the chain, which owns it then, when it begins."""
        if self._waiting is None or (grammar := self._waiting.feed(token)) is None:
            return
        self._waiting, self._grammar = None, grammar
        behind = int(lib.llama_sampler_chain_n(self._chain)) - self._place
        members = [lib.llama_sampler_chain_remove(self._chain, self._place) for _ in range(behind)]
        for member in [grammar, *members]:
            lib.llama_sampler_chain_add(self._chain, member)


def _grammar_of(sampler: Any) -> Any:
    """The grammar in a chain of llama_cpp. Its custom samplers have no name function."""
    custom = {place for place, _ in sampler.custom_samplers}
    places = (place for place in range(lib.llama_sampler_chain_n(sampler.sampler)) if place not in custom)
    members = (lib.llama_sampler_chain_get(sampler.sampler, place) for place in places)
    return next(member for member in members if lib.llama_sampler_name(member) == b"grammar")
