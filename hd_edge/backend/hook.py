"""ParameterHook: the parameters that llama_cpp's constructor makes, changed before it loads the model with them."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as lib

from .exact import ExactSettings
from .kernels import without_repacking
from .memory import Wanted
from .rpc import RPCServers
from .signals import HeldSignals


class ParameterHook(llama_cpp.Llama):  # type: ignore[misc]
    """llama_cpp assigns both attributes once, before it loads the model."""

    _wanted: Wanted
    _sequences = 0  # of several conversations; 0: those of one
    _exact: ExactSettings | None
    _held: HeldSignals
    _remote: RPCServers | None = None

    @property
    def exact(self) -> bool:
        """Whether n rows give bit for bit the logits of n single steps, so that drafted text is plain text."""
        return self._exact is not None

    @property
    def own_attention(self) -> bool:
        """Whether attention is computed by kernels of ours, as far as that is promised."""
        return self._exact is not None and self._exact.own_attention

    @property
    def context_params(self) -> Any:
        """llama_cpp's context parameters, with room for one sequence id per branch in one unified KV cache."""
        return self.__dict__["context_params"]

    @context_params.setter
    def context_params(self, params: Any) -> None:
        params.n_seq_max, params.n_rs_seq = self._sequences or self._wanted.sequences, self._wanted.snapshots
        params.kv_unified = True
        self.__dict__["context_params"] = params

    @property
    def model_params(self) -> Any:
        """llama_cpp's model parameters, without weight repacking where exact mode rules it out.

        A signal whose handler raised ends the loading.
        """
        return self.__dict__["model_params"]

    @model_params.setter
    def model_params(self, params: Any) -> None:
        if self._exact is not None and not self._exact.repacking and not without_repacking():
            params.use_extra_bufts = False
        if self._remote is not None:
            params.devices = ctypes.cast(self._remote.devices, ctypes.c_void_p)
        held = self._held  # not self, which keeps the parameters
        params.progress_callback = lib.llama_progress_callback(lambda _done, _data: held.error is None)
        self.__dict__["model_params"] = params
