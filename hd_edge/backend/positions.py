"""Learned positions: models with a table of them (GPT-2, StarCoder, MPT, BERT) know no token behind its end.

llama.cpp takes any context for them and ends the process at the first position that the table lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hd_edge.model.gguf import GGUFHeader

TABLE = "position_embd.weight"


def within(header: GGUFHeader, tokens: int) -> int:
    """So many tokens, or as many as the model has positions for."""
    table = header.dimensions.get(TABLE)
    return min(tokens, max(table[-1], 1)) if table else tokens
