"""KVState: parts of a sequence's KV state as bytes, taken out of and put into a running context.

``llama_state_seq_get_data_ext`` saves whole sequences only. A part is copied to a scratch sequence first, which in a
unified cache is book-keeping and no copy of data; the scratch sequence is saved and freed. The way back is the same.
Bytes of a saved sequence of n cells, all little-endian (``llama_kv_cache::state_write``):

    u32 magic, i32 sequence
    per cache (with a sliding window two: of the layers without, of those with it)
        u32 streams (1), u32 n
        n times  i32 position, u32 sequences (1), i32 sequence
        u32 V transposed (0), u32 layers
        per layer  i32 type, u64 bytes of a row, n rows of K; then the same for V

Of the cache of a sliding window llama.cpp saves the last window of a sequence only. What lies before it is needed where
the conversation is cut later, so a part that is longer than the window is saved as several sequences.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

_HEAD, _CELL, _ROWS = 8, 12, 12  # bytes before the caches, of a cell, and before the rows of a layer
_PAIR = struct.Struct("<II")
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
        self._window = int(lib.llama_model_n_swa(lib.llama_get_model(context)))

    def save(self, start: int, stop: int) -> bytearray | None:
        """The state of positions [start, stop) of the conversation; None if it cannot be had in a known layout."""
        most = self._window or stop
        saved = [self._save(at, min(at + most, stop)) for at in range(start, stop, most)]
        blob = saved[0] if len(saved) == 1 else bytearray().join(saved)
        return blob if is_part(blob, start, stop) else None

    def _save(self, start: int, stop: int) -> bytearray:
        self._free_scratch()
        lib.llama_memory_seq_cp(self._memory, self.trunk, self._scratch, start, stop)
        try:
            size = lib.llama_state_seq_get_size_ext(self._context, self._scratch, NO_FLAGS)
            blob = bytearray(size)
            buffer = (ctypes.c_uint8 * size).from_buffer(blob)
            got = lib.llama_state_seq_get_data_ext(self._context, buffer, size, self._scratch, NO_FLAGS)
            del buffer
        finally:
            self._free_scratch()
        return blob if got == size else bytearray()

    def restore(self, blob: bytearray | memoryview, start: int, stop: int) -> bool:
        """Puts the first positions of a saved part, [start, stop), behind the conversation's end at ``start``.

        Args:
            blob: From ``save``, of at least these positions; checked by the caller with ``is_part``.
            start: First position of the part, where the conversation ends now.
            stop: Where it ends afterwards.

        Returns:
            False if llama.cpp refused it: another layout, or no room. The conversation is as before.
        """
        end, at = start, 0
        for behind, after in _sequences(blob, start):
            if end == stop or not self._put(blob, at, behind - at):
                break
            lib.llama_memory_seq_cp(self._memory, self._scratch, self.trunk, end, min(after, stop))
            end, at = min(after, stop), behind
        self._free_scratch()
        if end < stop:
            self.cut(start)
        return end == stop

    def _put(self, blob: bytearray | memoryview, at: int, size: int) -> bool:
        self._free_scratch()
        buffer = (ctypes.c_uint8 * size).from_buffer(blob, at)
        return int(lib.llama_state_seq_set_data_ext(self._context, buffer, size, self._scratch, NO_FLAGS)) == size

    def cut(self, stop: int) -> None:
        """Ends the conversation at position ``stop``."""
        lib.llama_memory_seq_rm(self._memory, self.trunk, stop, -1)

    def _free_scratch(self) -> None:
        lib.llama_memory_seq_rm(self._memory, self._scratch, -1, -1)


def is_part(blob: bytearray | memoryview, start: int, stop: int) -> bool:
    """True if the bytes are a saved part of exactly these positions, in order, in the layout described above.

    Rows are not looked at: llama.cpp compares types and sizes of rows with its own before it takes them.
    """
    return [behind for _, behind in _sequences(blob, start)[-1:]] == [stop]


def _sequences(blob: bytearray | memoryview, start: int) -> list[tuple[int, int]]:
    """Where each saved sequence ends, in bytes and in positions; empty if they do not fill the bytes exactly."""
    for kinds in (2, 1):  # rows of K and of V, or of V none, where it is a part of K
        found, at, end = [], 0, start
        while (after := _sequence(blob, at, end, kinds)) is not None:
            found.append(after)
            at, end = after
        if found and at == len(blob):
            return found
    return []


def _sequence(blob: bytearray | memoryview, at: int, start: int, kinds: int) -> tuple[int, int] | None:
    """Where the sequence that begins at a byte and a position ends; None if none does, or it is of another layout."""
    n, rows, at = 0, 0, at + _HEAD
    while at + _PAIR.size <= len(blob) and (head := _PAIR.unpack_from(blob, at))[0] == 1:
        if head[1] == 0 or n not in (0, head[1]):
            return None  # a window has lost cells
        n, at = head[1], at + _PAIR.size
        if at + n * _CELL + _PAIR.size > len(blob):
            return None
        table: NDArray[np.int32] = np.frombuffer(blob, dtype="<i4", count=3 * n, offset=at).reshape(n, 3)
        if not (table[:, 0] == np.arange(start, start + n)).all() or not (table[:, 1] == 1).all():
            return None
        at += n * _CELL
        transposed, layers = _PAIR.unpack_from(blob, at)
        at += _PAIR.size
        if transposed:
            return None
        for _ in range(kinds * layers):
            if at + _ROWS > len(blob):
                return None
            at += _ROWS + n * int.from_bytes(blob[at + 4 : at + _ROWS], "little")
        rows += layers
    return (at, start + n) if rows else None
