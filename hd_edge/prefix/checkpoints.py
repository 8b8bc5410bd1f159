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
        size = lib.llama_state_seq_get_size_ext(self._context, TRUNK, lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY)
        if not 0 < size <= self.budget:
            return
        while self.bytes + size > self.budget:
            self._drop(self._dispensable())
        blob = bytearray(size)
        if self._copy(lib.llama_state_seq_get_data_ext, blob) == size:
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
        if self._copy(lib.llama_state_seq_set_data_ext, self._blobs[tokens]) != len(self._blobs[tokens]):
            return 0
        return tokens if lib.llama_memory_seq_rm(self._memory, TRUNK, tokens, -1) else 0

    def cut(self, tokens: int) -> None:
        """The memory holds the first tokens only: checkpoints behind them are of another conversation."""
        while self._positions and self._positions[-1] > tokens:
            self._drop(self._positions[-1])

    def _copy(self, function: Any, blob: bytearray) -> int:
        buffer = (ctypes.c_uint8 * len(blob)).from_buffer(blob)
        try:
            return int(function(self._context, buffer, len(blob), TRUNK, lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY))
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
