"""Checkpoints: states of a conversation at earlier tokens, for memories that cannot go back.

A recurrent state knows only the last token, a small sliding-window cache only the last window. llama.cpp saves just
that part of a sequence (``LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY``); the KV cells of all other layers stay where they are,
since they can be cut anywhere. So a second turn, an edited message or a regenerated answer goes on from the last
checkpoint before the first token that differs.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from typing import Any

from llama_cpp import llama_cpp as lib

TRUNK = 0  # sequence of the conversation
WHOLE, PART = 0, lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
_HEAD = 8  # bytes: u32 magic, i32 sequence
APART = 64  # tokens between two checkpoints, at least: fewer are computed again
CLOSE = 16  # tokens before a prompt's end, where chat templates begin to differ from turn to turn


class Checkpoints:
    """Of one context, all of them beginnings of the tokens that its memory holds.

    Args:
        context: ``llama_context*``.
        budget: Most bytes.
    """

    def __init__(self, context: Any, budget: int) -> None:
        self.budget = budget
        self.bytes = 0
        self._context = context
        self._memory = lib.llama_get_memory(context)
        self._positions: list[int] = []  # sorted
        self._blobs: dict[int, bytearray] = {}

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def positions(self) -> tuple[int, ...]:
        """After how many tokens there is one."""
        return tuple(self._positions)

    def note(self, tokens: int) -> None:
        """The memory holds so many tokens now: keeps what is needed to come back here, unless one is near."""
        at = bisect_right(self._positions, tokens)
        if tokens < APART or (at and tokens - self._positions[at - 1] < APART):
            return
        if lib.llama_memory_seq_pos_max(self._memory, TRUNK) != tokens - 1:
            return  # a draft's end is still in it
        size = lib.llama_state_seq_get_size_ext(self._context, TRUNK, PART)
        if not 0 < size <= self.budget:
            return
        while self.bytes + size > self.budget:
            self._drop(self._dispensable())
        if blob := self._saved(PART):
            self._positions.insert(bisect_right(self._positions, tokens), tokens)
            self._blobs[tokens] = blob
            self.bytes += size

    def restore(self, most: int) -> int:
        """Brings the memory back to the last checkpoint of at most so many tokens.

        Returns:
            After how many tokens it is; 0: there is none, or llama.cpp refused it, and the memory holds nothing good.
        """
        at = bisect_right(self._positions, most)
        if not at:
            return 0
        tokens = self._positions[at - 1]
        return tokens if self._put(self._blobs[tokens], PART, tokens) else 0

    def whole(self, tokens: int) -> bytearray | None:
        """All state after the first tokens: that of a checkpoint, behind the KV cells that the memory holds by now.

        Returns:
            What ``restore_whole`` takes, in memory of its own; None: there is no such checkpoint, or llama.cpp does not
            lay the state out as expected.
        """
        part, now, out = self._blobs.get(tokens), self._saved(PART), self._saved(WHOLE)
        if part is None or not now or not out.endswith(memoryview(now)[_HEAD:]):
            return None
        del out[len(out) - len(now) + _HEAD :]
        return out + memoryview(part)[_HEAD:]

    def restore_whole(self, blob: bytearray | memoryview, tokens: int) -> bool:
        """Brings the memory to what ``whole`` gave; False: llama.cpp refused it, and the memory holds nothing good."""
        return self._put(blob, WHOLE, tokens)

    def cut(self, tokens: int) -> None:
        """The memory holds the first tokens only: checkpoints behind them are of another conversation."""
        while self._positions and self._positions[-1] > tokens:
            self._drop(self._positions[-1])

    def _saved(self, flags: int) -> bytearray:
        """The state of the conversation as llama.cpp saves it; empty if it does not."""
        size = lib.llama_state_seq_get_size_ext(self._context, TRUNK, flags)
        blob = bytearray(size)
        if size and self._copy(lib.llama_state_seq_get_data_ext, blob, flags) != size:
            return bytearray()
        return blob

    def _put(self, blob: bytearray | memoryview, flags: int, tokens: int) -> bool:
        """The way back; what lies behind the first tokens goes."""
        if self._copy(lib.llama_state_seq_set_data_ext, blob, flags) != len(blob):
            return False
        return bool(lib.llama_memory_seq_rm(self._memory, TRUNK, tokens, -1))

    def _copy(self, function: Any, blob: bytearray | memoryview, flags: int) -> int:
        buffer = (ctypes.c_uint8 * len(blob)).from_buffer(blob)
        try:
            return int(function(self._context, buffer, len(blob), TRUNK, flags))
        finally:
            del buffer

    def _dispensable(self) -> int:
        """The one whose neighbours are nearest to each other: its loss costs least. The newest only if it is alone."""
        ends = [0, *self._positions]
        before = [(ends[i + 1] - ends[i - 1], ends[i]) for i in range(1, len(ends) - 1)]
        return min(before)[1] if before else self._positions[0]

    def _drop(self, tokens: int) -> None:
        self._positions.remove(tokens)
        self.bytes -= len(self._blobs.pop(tokens))
