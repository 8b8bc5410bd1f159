"""Greedy choice behind penalties: the chain is asked about the tokens that can win, not about the whole vocabulary.

Penalties change the logits of tokens that were drawn lately. A greedy choice therefore takes one of these, or the
largest logit of all others, which is found natively. llama.cpp's own chain chooses among them: for 49,152 tokens 12 us
instead of 200.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from llama_cpp import llama_cpp as lib

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_RECENT = 512  # tokens; with more, a choice among all of them takes as long as one of the vocabulary


class Recent:
    """The tokens that a chain's penalties may be about.

    Args:
        size: How many of the latest, ``last_n_tokens_size`` of llama_cpp.
    """

    def __init__(self, size: int) -> None:
        self.tokens: NDArray[np.int32] = np.full(max(size, 0), -1, np.int32)
        self._next = 0

    def add(self, token: int) -> None:
        """The chain has accepted a token."""
        if len(self.tokens):
            self.tokens[self._next] = token
            self._next = (self._next + 1) % len(self.tokens)


class Rows(Protocol):
    """Verified rows."""

    def candidates(self, node: int, few: NDArray[np.int32], out: NDArray[np.int32]) -> int:
        """Writes token 0, the few, and the first largest of the others, as ``llama_token_data``; returns how many."""
        ...


class PenalisedGreedySampler:
    """Draws at the nodes of verified trees.

    Args:
        rows: Of the last forward.
        chain: ``llama_sampler`` of penalties and a greedy choice, no more.
        recent: What it accepted; tokens drawn here are added.
    """

    def __init__(self, rows: Rows, chain: Any, recent: Recent) -> None:
        self._rows, self._chain, self._recent = rows, chain, recent
        self._out = np.zeros((len(recent.tokens) + 2, 3), np.int32)  # id, logit, p
        data = self._out.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
        self._array = lib.llama_token_data_array(data=data, size=0, selected=-1, sorted=False)
        self._asked = ctypes.byref(self._array)

    def sample(self, node: int) -> int:
        """Draws at a tree node."""
        array = self._array
        array.size = self._rows.candidates(node, self._recent.tokens, self._out)
        array.selected, array.sorted = -1, False
        lib.llama_sampler_apply(self._chain, self._asked)
        token = int(self._out[array.selected, 0])
        lib.llama_sampler_accept(self._chain, token)
        self._recent.add(token)
        return token
