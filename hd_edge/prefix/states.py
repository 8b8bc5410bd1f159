"""StateCache: whole states of conversations in memory and on disk, for memories that cannot be cut into pieces.

A checkpoint is a state that only the conversation in the context can go back to. Here it is made whole, with the KV
cells of the attention layers, and kept under the tokens that it holds: another conversation, or the next process, goes
on from the latest one that is a beginning of its prompt. The file is that of a piece: the last piece of those tokens
names it. Whole states of one conversation repeat each other, so only a few are kept: the newest, and further ones that
lie twice as far back each.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from .base import PrefixBase
from .cache import LEAST_GAIN
from .checkpoints import Checkpoints
from .pieces import Piece, cut
from .saver import Blob, Saver


@dataclass(frozen=True)
class Known:
    """A stored state that a prompt can go on from.

    Args:
        piece: The last of its tokens.
        size: Bytes to be read.
        blob: The state, if it is in memory.
    """

    piece: Piece
    size: int
    blob: Blob | None


class StateCache(PrefixBase):
    """Whole states of one ``Llama``; arguments as for ``PrefixBase``, ``memory`` and ``disk`` for whole states."""

    _state: Checkpoints

    def _saver(self) -> Saver:
        about = (self._root, self._name, self.memory, self.disk, self.price)
        return StateSaver(self._state, self._turn, self._live, *about, advance=lambda: False)

    def find(self, tokens: Sequence[int]) -> list[Known]:
        """The latest known states of a prompt's beginning, those in memory held: one at most of each place."""
        if self._closed:
            return []
        chain, found = list(cut(self._root, tokens[:-1])), []
        piece = self.memory.latest(chain)
        if piece is not None and (blob := self.memory.get(piece)):
            found.append(Known(piece, len(blob), blob))
        there = self.disk.latest(chain) if self.disk is not None else None
        if there is not None and (not found or there[0].stop > found[0].piece.stop):
            found.insert(0, Known(*there, None))
        return found

    def resume(self, found: Sequence[Known], keep: int) -> int:
        """Puts one of the found states into the memory, if that pays.

        Args:
            found: Of the prompt, by ``find``.
            keep: How many of its tokens the memory holds, and nothing else.

        Returns:
            How many it holds now; 0: llama.cpp refused the state, and the memory holds nothing good.
        """
        for i, one in enumerate(found):
            started = time.perf_counter()
            if not self._pays(one, max([keep, *(other.piece.stop for other in found[i + 1 :])])):
                continue
            blob = one.blob
            if blob is None and self.disk is not None:
                blob = self.disk.read(one.piece, bytearray(one.size))
            if blob is not None:
                return self._restored(one, blob, started)
        return keep

    def _pays(self, one: Known, keep: int) -> bool:
        on_disk, in_memory = (one.size, 0) if one.blob is None else (0, one.size)
        gain = one.piece.stop - keep
        return gain >= LEAST_GAIN and self.price.worth_restoring(gain, on_disk, in_memory)

    def _restored(self, one: Known, blob: Blob, started: float) -> int:
        if not self._state.restore_whole(blob, one.piece.stop):
            self.memory.drop(one.piece)
            if self.disk is not None:
                self.disk.drop(one.piece)
            return 0
        seconds = time.perf_counter() - started
        if one.blob is None:
            self.price.read(len(blob), seconds)
            self.saver.used.append(one.piece)
        else:
            self.price.copied(len(blob), seconds)
            self.memory.touch([one.piece])
        return one.piece.stop


class StateSaver(Saver):
    """What is kept of the conversations of one ``Llama``: ``state`` is its ``Checkpoints``."""

    _state: Checkpoints

    def take(self, live: Sequence[int]) -> None:
        """Copies what the memory, which holds the state of these tokens, is about to lose, if that pays."""
        chosen = self._chosen(live)
        pieces = [piece for piece, _ in chosen]
        for piece, gain in chosen:
            if not self._known(piece) and self._worth(piece, gain) and (blob := self._copy(piece)):
                self._keep(piece, blob, [*pieces, piece], gain)
        self._memory.touch(pieces)

    def _known(self, piece: Piece) -> bool:
        return piece in self._memory or (self._disk is not None and self._disk.has(piece))

    def _chosen(self, live: Sequence[int]) -> list[tuple[Piece, int]]:
        """Checkpoints that are to be kept, the newest first, and how many tokens each saves behind the one before."""
        self._state.note(len(live))
        stops: list[int] = []
        for stop in reversed([stop for stop in self._state.positions if stop <= len(live)]):
            if len(stops) < 2 or stops[0] - stop >= 2 * (stops[0] - stops[-1]):
                stops.append(stop)
        chain = {stop: list(cut(self._root, live[:stop]))[-1] for stop in stops}
        return [(chain[stop], stop - before) for stop, before in zip(stops, [*stops, 0][1:], strict=True)]

    def _worth(self, piece: Piece, gain: int) -> bool:
        return self._price.worth_taking(gain, piece.stop * self.token_bytes)

    def _copy(self, piece: Piece) -> bytearray | None:
        started = time.perf_counter()
        blob = self._state.whole(piece.stop)
        if blob is not None:
            self._price.copied(len(blob), time.perf_counter() - started)
            self.token_bytes = len(blob) // piece.stop
        return blob

    def _save(self, live: Sequence[int]) -> None:
        """Saves a conversation, one state in each spare turn."""
        with self._turn.spare() as free:
            held = free and self._holds(live, len(live))
            chosen = self._chosen(live) if held else []
        pieces = [piece for piece, _ in chosen]
        for piece, gain in chosen:
            if self._disk is not None and self._disk.has(piece):
                self.used.append(piece)
                continue
            blob = self._memory.get(piece)
            if blob is None:
                if not self._worth(piece, gain):
                    continue
                with self._turn.spare() as free:
                    held = free and self._holds(live, len(live))
                    blob = self._copy(piece) if held else None
            if blob is not None:
                self._keep(piece, blob, [*pieces, piece], gain)
            if self._waiting() > self._memory.budget // 2:
                self._write()
        self._unsaved = self._unsaved or not held  # later, whatever the memory holds then
        self._memory.touch(pieces)
