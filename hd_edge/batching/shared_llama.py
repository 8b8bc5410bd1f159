"""SharedLlama: a model whose context has room for the sequences of many conversations."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from hd_edge._native import SharedVerifier
from hd_edge.backend import api
from hd_edge.backend.memory import keeps_state
from hd_edge.backend.settings import address
from hd_edge.errors import ConfigError

from .one_of_many import OneOfMany
from .sizes import BESIDE


class SharedLlama(OneOfMany):
    """The model of an ``Engine``; its own generations would disturb the conversations, and are refused.

    Args:
        model_path: As for ``Llama``.
        slots: Conversations that fit.
        leaves: Of each one's draft trees.
        **settings: As for ``Llama``; ``n_ctx`` counts the cells of all conversations.

    Raises:
        ConfigError: The model cannot be shared; the message says why.
        HDEdgeError: As ``Llama``.
    """

    closing: weakref.WeakMethod[Callable[[], None]] | None = None  # the engine's, which ends whoever uses it first

    def __init__(self, model_path: Any, *, slots: int, leaves: int, **settings: Any) -> None:
        self._sequences = slots * leaves + BESIDE
        super().__init__(model_path, **settings)
        reason = self._plain_reason if self._verifier is None else _why_alone(self)
        if reason:
            self.close()
            msg = f"{self.model_path} cannot serve several conversations at a time: {reason}"
            raise ConfigError(msg)
        self.shared = SharedVerifier(
            api.load(),
            address(self.ctx),
            address(self._ctx.memory),
            n_vocab=self._n_vocab,
            n_cells=self._ctx.n_ctx(),
            max_rows=min(self.n_batch, int(self.context_params.n_ubatch)),
            slots=slots,
            leaves=leaves,
        )

    _drafted = OneOfMany._shared

    def close(self) -> None:
        """As ``Engine.close``, if it has one."""
        close = None if self.closing is None else self.closing()
        if close is None:
            super().close()
        else:
            close()


def _why_alone(llama: SharedLlama) -> str:
    """Why a model's memory cannot be shared; empty if it can."""
    if keeps_state(llama):
        return "it has a recurrent state, of which every conversation would need its own"
    if llama._logits_all:
        return "logits_all=True keeps one conversation's logits"
    return ""
