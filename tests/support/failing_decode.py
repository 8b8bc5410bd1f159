"""llama_decode that fails when told: for llama_cpp's own calls and for those of the native module."""

from __future__ import annotations

import ctypes

from llama_cpp import llama_cpp as lib

from hd_edge import _native
from hd_edge.backend import api

COMPUTED = (2, -2)  # these may come when rows of the batch are in the KV cache, and recurrent states overwritten


class FailingDecode:
    """Counts the forwards of this process; the n-th answers a code instead of computing.

    Attributes:
        calls: Since ``arm()``.
        failed: Whether the armed one was reached.
    """

    def __init__(self) -> None:
        self.calls, self.failed = 0, False
        self._at, self._code = 0, 0
        self._real = lib.llama_decode
        signature = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, lib.llama_batch)
        self._callback = signature(self)  # kept: the native module calls it

    def arm(self, at: int, code: int) -> None:
        """From now on the ``at``-th call (from 1; 0: none) answers ``code``."""
        self.calls, self.failed, self._at, self._code = 0, False, at, code

    def __call__(self, context: int, batch: lib.llama_batch) -> int:
        self.calls += 1
        if self.calls == self._at:
            self.failed = True
            if self._code in COMPUTED:
                self._real(context, batch)
            return self._code
        return self._real(context, batch)

    def table(self) -> _native.LlamaApi:
        """The function table with this llama_decode."""
        addresses = {name: ctypes.cast(getattr(lib._lib, name), ctypes.c_void_p).value for name in api.FUNCTIONS}
        addresses["llama_decode"] = ctypes.cast(self._callback, ctypes.c_void_p).value
        return _native.LlamaApi(addresses)

    def install(self, monkeypatch) -> None:
        """Models that are loaded from now on call it."""
        table = self.table()
        monkeypatch.setattr(api, "load", lambda: table)
        monkeypatch.setattr(lib, "llama_decode", self)
