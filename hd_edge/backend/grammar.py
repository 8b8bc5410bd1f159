"""Grammars (GBNF): what is refused before llama.cpp parses one, and draws that no grammar can end the process with.

llama.cpp throws through the C border when a token is accepted that the grammar does not allow: so the grammar is asked
before. What it cannot parse it prints, a client's text into a server's log: so that is caught.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge.errors import ConfigError

from .gbnf import check_size
from .log import captured_log, captured_stderr

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data


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
    source = text.encode("utf-8").split(b"\0")[0]
    printed = rb"parse: error parsing grammar: (.*?)\n\n" + re.escape(source) + rb"\n"
    with captured_log(), captured_stderr(printed) as said:
        sampler = lib.llama_sampler_init_grammar(vocab, source, root.encode("utf-8"))
    if not sampler:
        why = f" ({said[0].decode('utf-8', 'replace')[:80]!r})" if said else ""
        msg = f"llama.cpp cannot parse the grammar {text[:60]!r}...{why}: GBNF with a rule {root!r} is expected"
        raise ConfigError(msg)
    lib.llama_sampler_free(sampler)


class CheckedDraw:
    """Draws from a sampler chain with a grammar, as ``llama_sampler_sample`` does, but asks the grammar first.

    A processor, a bias or ``min_tokens`` may rule out every token that the grammar allows; what the chain then draws
    must not be accepted.

    Args:
        sampler: ``LlamaSampler`` of llama_cpp, whose chain holds a grammar.
        n_vocab: Size of the vocabulary.
    """

    def __init__(self, sampler: Any, n_vocab: int) -> None:
        self._chain = sampler.sampler
        self._grammar = _grammar_of(sampler)
        self._candidates = np.zeros(n_vocab, CANDIDATE)
        self._ids = np.arange(n_vocab, dtype=np.int32)
        self._one = np.zeros(1, CANDIDATE)

    def __call__(self, ctx: Any, row: int) -> int:
        """Draws at a row of the last batch, -1 for its last row.

        Raises:
            ConfigError: No token that the grammar allows is left by the other settings.
        """
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

    def allowed(self, token: int) -> bool:
        """True if the grammar allows this token next."""
        self._one["id"] = token
        return bool(allows(self._grammar, self._one)[0])


def _grammar_of(sampler: Any) -> Any:
    """The grammar in a chain of llama_cpp. Its custom samplers have no name function."""
    custom = {place for place, _ in sampler.custom_samplers}
    places = (place for place in range(lib.llama_sampler_chain_n(sampler.sampler)) if place not in custom)
    members = (lib.llama_sampler_chain_get(sampler.sampler, place) for place in places)
    return next(member for member in members if lib.llama_sampler_name(member) == b"grammar")
