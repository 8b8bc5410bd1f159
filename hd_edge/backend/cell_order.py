"""The order of cells behind a state that was put back whole, in full-size caches of sliding windows.

llama.cpp then looks for free cells from the first one on. In a window's cache it takes a cell for free whose position
the window has left, if that cell is of one sequence only; the earlier ones of that sequence go with it. So new tokens
would fall before old ones, and attention, which adds by the rank of a cell, would have other bits; where the
conversation is cut later, or shared, cells that are needed again would be gone. Once a token was written behind all
others, the search goes on there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from llama_cpp import llama_cpp as lib

NO_FLAGS = 0


def reuses_cells(context: Any) -> bool:
    """Whether llama.cpp may write over cells that a window has left."""
    return int(lib.llama_model_n_swa(lib.llama_get_model(context))) > 0


def go_on_behind(context: Any, trunks: Sequence[int], guard: int, scratch: int) -> bool:
    """Lets llama.cpp write behind all cells, after a state was put back whole.

    While every cell is of a second sequence too, none counts as free, so a copy of one cell goes behind them. It is
    removed again, and the search begins where it was.

    Args:
        context: ``llama_context*``, whose cells lie one behind the other.
        trunks: The sequences that have all of its cells.
        guard: A sequence without cells.
        scratch: Another one.

    Returns:
        False: there is no room behind the cells, or llama.cpp refused it. The cells are as before.
    """
    memory = lib.llama_get_memory(context)
    held = [trunk for trunk in trunks if lib.llama_memory_seq_pos_max(memory, trunk) >= 0]
    if not held:
        return True
    last = lib.llama_memory_seq_pos_max(memory, held[0])
    try:
        lib.llama_memory_seq_cp(memory, held[0], scratch, last, last + 1)
        size = lib.llama_state_seq_get_size_ext(context, scratch, NO_FLAGS)
        cell = (ctypes.c_uint8 * size)()
        got = lib.llama_state_seq_get_data_ext(context, cell, size, scratch, NO_FLAGS)
        lib.llama_memory_seq_rm(memory, scratch, -1, -1)
        for trunk in held:
            lib.llama_memory_seq_cp(memory, trunk, guard, -1, -1)
        return bool(size and got == size == lib.llama_state_seq_set_data_ext(context, cell, size, scratch, NO_FLAGS))
    finally:
        lib.llama_memory_seq_rm(memory, scratch, -1, -1)
        lib.llama_memory_seq_rm(memory, guard, -1, -1)
