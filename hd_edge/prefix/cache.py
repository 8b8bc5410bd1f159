"""PrefixCache: finds the longest known beginning of a prompt, puts it into the KV cache, keeps what was computed.

The thread that generates calls ``enter``, ``fetch`` and ``leave``. Saving is done by a thread of its own while nobody
generates: first state is copied to memory, piece by piece, each in a spare turn of the model, then files are written.
Only state that a prompt is about to overwrite is copied on the way to an answer, and only if that costs less than a
tenth of computing it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from hd_edge.backend.kv_state import is_part

from .base import PrefixBase
from .pieces import PIECE, TOKEN, Piece, pack
from .saver import Blob, Saver, State

LEAST_GAIN = 16  # tokens: fewer are computed


@dataclass(frozen=True)
class Found:
    """A stored piece that a prompt can use.

    Args:
        piece: The piece.
        stop: Position behind the last of its tokens that the prompt has too.
        size: Bytes to be read from the disk; 0: it is in memory.
    """

    piece: Piece
    stop: int
    size: int


class PrefixCache(PrefixBase):
    """Prefixes in pieces, for a KV cache that can be cut anywhere; arguments as for ``PrefixBase``."""

    _state: State
    _advance: Callable[[], bool] | None = None

    def _saver(self) -> Saver:
        about = (self._root, self._name, self.memory, self.disk, self.price)
        return Saver(self._state, self._turn, self._live, *about, advance=self._advance or _one_only)

    def share(self, state: State, live: Callable[[], Sequence[int] | None], advance: Callable[[], bool]) -> None:
        """From now on for many conversations; before the first generation.

        Args:
            state: Of the one that is looked at.
            live: The tokens of the one that is to be saved.
            advance: It is saved; False if no other is left.
        """
        self._state, self._live, self._advance = state, live, advance
        self._begin()

    def fetch(self, live: Sequence[int], tokens: Sequence[int], keep: int) -> int:
        """Puts the longest known beginning of a prompt into the KV cache.

        Args:
            live: The tokens whose state the KV cache holds.
            tokens: The prompt.
            keep: How many tokens both have in common.

        Returns:
            How many tokens of the prompt the KV cache holds now. More than ``keep`` if that paid; less only if a
            piece turned out to be damaged on the way.
        """
        if self._closed:
            return keep
        chain = self._longest(tokens)
        found = [one for one in chain if one.stop > keep]
        if found and not self._pays(found, keep):
            found = []
        started = time.perf_counter()
        buffers = [bytearray(max((one.size for one in found), default=0)) for _ in found[:2]]
        first = self._load(found[0], buffers[0]) if found else None
        waited = time.perf_counter() - started
        if keep < len(live):
            self.saver.take(live)
        if first is None:
            return keep
        got = self._restore(found, first, buffers, waited)
        self.memory.touch([one.piece for one in chain])
        self.saver.used.extend(one.piece for one in chain if one.size)
        return got

    def _longest(self, tokens: Sequence[int]) -> list[Found]:
        """Stored pieces that hold the longest known beginning of a prompt, without its last token."""
        packed, parent, start = pack(tokens[:-1]), self._root, 0
        found: list[Found] = []
        while rest := packed[start * TOKEN : (start + PIECE) * TOKEN]:
            here = self.memory.find(parent, start, rest)
            best = Found(here[0], start + here[1], 0) if here else None
            if self.disk is not None and (here is None or here[1] * TOKEN < len(rest)):
                there = self.disk.find(parent, start, rest)
                if there and (best is None or start + there[1] > best.stop):
                    best = Found(there[0], start + there[1], there[2])
            if best is None:
                break
            found.append(best)
            if best.stop < start + PIECE:
                break
            parent, start = best.piece.name, start + PIECE
        return found

    def _pays(self, found: list[Found], keep: int) -> bool:
        """True if restoring these pieces is cheaper than computing what they hold beyond ``keep``."""
        gain = found[-1].stop - keep
        on_disk = sum(one.size for one in found)
        in_memory = sum(len(one.piece.tokens) // TOKEN for one in found if not one.size) * self.saver.token_bytes
        return gain >= LEAST_GAIN and self.price.worth_restoring(gain, on_disk, in_memory)

    def _load(self, one: Found, buffer: bytearray) -> Blob | None:
        """The state of a found piece; None, and the piece is forgotten, if it is not what it should be."""
        if not one.size:
            return self.memory.get(one.piece)
        blob = self.disk.read(one.piece, buffer) if self.disk is not None else None
        if blob is not None and not is_part(blob, one.piece.start, one.piece.stop):
            self._forget(one)
            return None
        return blob

    def _forget(self, one: Found) -> None:
        if not one.size:
            self.memory.drop(one.piece)
        elif self.disk is not None:
            self.disk.drop(one.piece)

    def _restore(self, found: list[Found], first: Blob, buffers: list[bytearray], waited: float) -> int:
        """Puts pieces into the KV cache, the next one being read meanwhile; returns where the conversation ends."""
        started = time.perf_counter() - waited
        blob: Blob | None = first
        stop, size = found[0].piece.start, 0
        self._state.cut(stop)
        with ThreadPoolExecutor(1) as reader:
            for i, one in enumerate(found):
                if blob is None:
                    break
                ahead: Future[Blob | None] | None = None
                if i + 1 < len(found):
                    ahead = reader.submit(self._load, found[i + 1], buffers[(i + 1) % 2])
                if not self._state.restore(blob, one.piece.start, one.stop):
                    self._forget(one)
                    break
                stop, size = one.stop, size + len(blob)
                blob = ahead.result() if ahead is not None else None
        seconds = time.perf_counter() - started
        if all(one.size for one in found):
            self.price.read(size, seconds)
        elif not any(one.size for one in found):
            self.price.copied(size, seconds)
        return stop


def _one_only() -> bool:
    return False
