"""KVState: parts of a sequence's KV state as bytes, taken out of and put into a running context.

``llama_state_seq_get_data_ext`` saves whole sequences only. A part is copied to a scratch sequence first, which in a
unified cache is book-keeping and no copy of data; the scratch sequence is saved and freed. The way back is the same.
Bytes of a saved part of n cells, all little-endian (``llama_kv_cache::state_write``):

    u32 magic, i32 sequence, u32 streams (1), u32 n
    n times  i32 position, u32 sequences (1), i32 sequence
    u32 V transposed (0), u32 layers
    per layer  i32 type, u64 bytes of a row, n rows of K; then the same for V
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

_HEAD, _CELL = 16, 12  # bytes before the cells, and of one cell
NO_FLAGS = 0


class KVState:
    """The KV cache of one context.

    Args:
        context: ``llama_context*``.
        scratch: A sequence that is free between generations.

    Attributes:
        trunk: The sequence of the conversation.
    """

    def __init__(self, context: Any, scratch: int) -> None:
        self.trunk = 0
        self._context = context
        self._memory = lib.llama_get_memory(context)
        self._scratch = scratch

    def save(self, start: int, stop: int) -> bytearray | None:
        """The state of positions [start, stop) of the conversation; None if it cannot be had in a known layout."""
        self._free_scratch()
        lib.llama_memory_seq_cp(self._memory, self.trunk, self._scratch, start, stop)
        try:
            size = lib.llama_state_seq_get_size_ext(self._context, self._scratch, NO_FLAGS)
            if size <= _HEAD:
                return None
            blob = bytearray(size)
            buffer = (ctypes.c_uint8 * size).from_buffer(blob)
            got = lib.llama_state_seq_get_data_ext(self._context, buffer, size, self._scratch, NO_FLAGS)
            del buffer
        finally:
            self._free_scratch()
        return blob if got == size and is_part(blob, start, stop) else None

    def restore(self, blob: bytearray | memoryview, start: int, stop: int) -> bool:
        """Puts the first positions of a saved part, [start, stop), behind the conversation's end at ``start``.

        Args:
            blob: From ``save``, of at least these positions; checked by the caller with ``is_part``.
            start: First position of the part, where the conversation ends now.
            stop: Where it ends afterwards.

        Returns:
            False if llama.cpp refused it: another layout, or no room. The conversation is as before.
        """
        self._free_scratch()
        buffer = (ctypes.c_uint8 * len(blob)).from_buffer(blob)
        used = lib.llama_state_seq_set_data_ext(self._context, buffer, len(blob), self._scratch, NO_FLAGS)
        del buffer
        good = bool(used == len(blob))
        if good:
            lib.llama_memory_seq_cp(self._memory, self._scratch, self.trunk, start, stop)
        self._free_scratch()
        return good

    def cut(self, stop: int) -> None:
        """Ends the conversation at position ``stop``."""
        lib.llama_memory_seq_rm(self._memory, self.trunk, stop, -1)

    def _free_scratch(self) -> None:
        lib.llama_memory_seq_rm(self._memory, self._scratch, -1, -1)


def is_part(blob: bytearray | memoryview, start: int, stop: int) -> bool:
    """True if the bytes are a saved part of exactly these positions, in order, in the layout described above.

    Rows are not looked at: llama.cpp compares types and sizes of rows with its own before it takes them.
    """
    n = stop - start
    if n < 1 or len(blob) < _HEAD + n * _CELL + 8:
        return False
    _, _, streams, cells = np.frombuffer(blob, dtype="<u4", count=4).tolist()
    if (streams, cells) != (1, n):
        return False
    table: NDArray[np.int32] = np.frombuffer(blob, dtype="<i4", count=3 * n, offset=_HEAD).reshape(n, 3)
    if not (table[:, 0] == np.arange(start, stop)).all() or not (table[:, 1] == 1).all():
        return False
    transposed, layers = np.frombuffer(blob, dtype="<u4", count=2, offset=_HEAD + n * _CELL).tolist()
    return bool(transposed == 0 and layers > 0 and _walk(blob, n, layers))


def _walk(blob: bytearray | memoryview, n: int, layers: int) -> bool:
    """True if the layers' rows fill the bytes exactly: K of every layer, then V of every layer or of none."""
    at, sections = _HEAD + n * _CELL + 8, 0
    while at + 12 <= len(blob) and sections < 2 * layers:
        at += 12 + n * int.from_bytes(blob[at + 4 : at + 12], "little")
        sections += 1
    return at == len(blob) and sections in (layers, 2 * layers)
