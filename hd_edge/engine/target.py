"""Target: what a generation needs of ``llama_cpp.Llama``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Target(Protocol):
    """The state of ``llama_cpp.Llama`` that a generation reads and keeps right."""

    n_tokens: int  # tokens in the KV cache, which are input_ids[:n_tokens]
    input_ids: NDArray[np.intc]
    scores: NDArray[np.single]
    _n_vocab: int
    _logits_all: bool
    _requires_eval: bool

    def eval(self, tokens: Sequence[int]) -> None:
        """Plain forwards over tokens behind the KV cache's end."""
        ...

    def n_ctx(self) -> int:
        """Size of the context window."""
        ...

    def settling(self) -> AbstractContextManager[None]:
        """Nobody cancels the forwards of this block."""
        ...


StopTest = Callable[[NDArray[np.intc], NDArray[np.single]], bool]
