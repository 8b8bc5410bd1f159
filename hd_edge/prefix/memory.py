"""MemoryPieces: state of recent conversations in memory, within a byte budget, least recently used first out."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Collection, Sequence

from .pieces import Piece, common


class MemoryPieces:
    """Pieces by name; any thread may call any method.

    Args:
        budget: Most bytes of state.
        whole: As for ``Disk``.
    """

    def __init__(self, budget: int, *, whole: bool = False) -> None:
        self.budget = budget
        self._whole = whole
        self.bytes = 0
        self._blobs: OrderedDict[bytes, tuple[Piece, bytearray]] = OrderedDict()
        self._children: dict[bytes, list[bytes]] = {}  # parent -> packed tokens of its pieces, sorted
        self._lock = threading.Lock()

    def __contains__(self, piece: Piece) -> bool:
        with self._lock:
            return piece.name in self._blobs

    def __len__(self) -> int:
        return len(self._blobs)

    def emptied(self) -> MemoryPieces:
        """Another one of this kind, which holds nothing yet."""
        return MemoryPieces(self.budget, whole=self._whole)

    def latest(self, chain: Sequence[Piece]) -> Piece | None:
        """The whole state that holds most of a prompt that was cut into these pieces, and nothing else."""
        with self._lock:
            for piece in reversed(chain):
                children = self._children.get(piece.parent, ())
                if found := [tokens for tokens in children if piece.tokens.startswith(tokens)]:
                    return Piece(piece.parent, max(found, key=len), piece.start)
        return None

    def find(self, parent: bytes, start: int, rest: bytes) -> tuple[Piece, int] | None:
        """The child of ``parent`` that shares most tokens with the packed ``rest``, and how many."""
        with self._lock:
            children = self._children.get(parent, [])
            at = bisect_left(children, rest)  # what shares most stands beside the place where it would be put
            near = [(common(tokens, rest), tokens) for tokens in children[max(at - 1, 0) : at + 1]]
        shared, tokens = max(near, default=(0, b""))
        return (Piece(parent, tokens, start), shared) if shared else None

    def get(self, piece: Piece) -> bytearray | None:
        """Its state; None if it is not here."""
        with self._lock:
            found = self._blobs.get(piece.name)
            return found[1] if found else None

    def touch(self, pieces: Sequence[Piece]) -> None:
        """A prompt was used just now; its beginning stays longest, for nothing behind it can be found without it."""
        with self._lock:
            for piece in reversed(pieces):
                if piece.name in self._blobs:
                    self._blobs.move_to_end(piece.name)

    def put(self, piece: Piece, blob: bytearray, spare: Collection[bytes] = ()) -> bool:
        """Keeps a piece; shorter ones that it contains go, and the least recently used ones for which no room is left.

        Args:
            piece: The piece.
            blob: Its state.
            spare: Names of pieces that must not go for this one: those of its own prompt, whose beginning is worth more
                than its end.

        Returns:
            False if there is no room.
        """
        with self._lock:
            for tokens in list(self._children.get(piece.parent, ())):
                if tokens == piece.tokens or (piece.tokens.startswith(tokens) and not self._whole):
                    self._drop(Piece(piece.parent, tokens, piece.start))
            excess = self.bytes + len(blob) - self.budget
            leaving = []
            for old, state in self._blobs.values():
                if excess <= 0:
                    break
                if old.name not in spare:
                    leaving.append(old)
                    excess -= len(state)
            if excess > 0:
                return False
            for old in leaving:
                self._drop(old)
            insort(self._children.setdefault(piece.parent, []), piece.tokens)
            self._blobs[piece.name] = (piece, blob)
            self.bytes += len(blob)
            return True

    def drop(self, piece: Piece) -> None:
        """Forgets a piece."""
        with self._lock:
            self._drop(piece)

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._blobs.clear()
            self._children.clear()
            self.bytes = 0

    def _drop(self, piece: Piece) -> None:
        found = self._blobs.pop(piece.name, None)
        if found is None:
            return
        self.bytes -= len(found[1])
        children = self._children[piece.parent]
        children.remove(piece.tokens)
        if not children:
            del self._children[piece.parent]
