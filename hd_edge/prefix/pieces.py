"""Piece: a run of tokens at a fixed place of a prompt, named by everything before it.

K and V of a token depend on the tokens up to it and on nothing behind it. So the state of a prompt can be kept in
pieces of 128 tokens, each named by the hash of its own tokens and its parent's name: prompts with a common beginning
share pieces, and any beginning of a piece is good as well. The last piece of a prompt may be shorter. The root's name
is the fingerprint of model and settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

PIECE = 128  # tokens
TOKEN = 4  # bytes of one


def pack(tokens: Sequence[int]) -> bytes:
    """Token ids as big-endian uint32: the order of the bytes is the order of the ids."""
    return np.asarray(tokens, dtype=">u4").tobytes()


def common(a: bytes, b: bytes) -> int:
    """How many tokens two packed runs have in common at their beginning."""
    n = min(len(a), len(b)) // TOKEN
    differ = np.flatnonzero(np.frombuffer(a, ">u4", n) != np.frombuffer(b, ">u4", n))
    return int(differ[0]) if len(differ) else n


@dataclass(frozen=True)
class Piece:
    """A run of tokens.

    Args:
        parent: Name of the piece before it, or the fingerprint.
        tokens: Its tokens, packed.
        start: Position of its first token.
    """

    parent: bytes
    tokens: bytes
    start: int

    @cached_property
    def name(self) -> bytes:
        """SHA-256 of parent and tokens."""
        return hashlib.sha256(self.parent + self.tokens).digest()

    @property
    def stop(self) -> int:
        """Position behind its last token."""
        return self.start + len(self.tokens) // TOKEN

    @property
    def full(self) -> bool:
        """True if another piece can follow."""
        return len(self.tokens) == PIECE * TOKEN


def cut(root: bytes, tokens: Sequence[int]) -> Iterator[Piece]:
    """The pieces of a prompt, in order."""
    packed, parent = pack(tokens), root
    for start in range(0, len(tokens), PIECE):
        piece = Piece(parent, packed[start * TOKEN : (start + PIECE) * TOKEN], start)
        yield piece
        parent = piece.name
