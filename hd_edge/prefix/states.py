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

from .base import PrefixBase
from .cache import LEAST_GAIN
from .checkpoints import Checkpoints
from .pieces import Piece, cut
from .saver import Saver


class StateCache(PrefixBase):
    """Whole states of one ``Llama``; arguments as for ``PrefixBase``, ``memory`` and ``disk`` for whole states."""

    _state: Checkpoints

    def _saver(self) -> Saver:
        about = (self._root, self._name, self.memory, self.disk, self.price)
        return StateSaver(self._state, self._turn, self._live, *about, advance=lambda: False)

    def resume(self, tokens: Sequence[int], keep: int) -> int:
        """Puts the latest known state of a prompt's beginning into the memory, if that pays.

        Args:
            tokens: The prompt.
            keep: How many of its tokens the memory holds, and nothing else.

        Returns:
            How many it holds now; 0: llama.cpp refused the state, and the memory holds nothing good.
        """
        if self._closed:
            return keep
        chain = list(cut(self._root, tokens[:-1]))
        here, there = self.memory.latest(chain), self.disk.latest(chain) if self.disk is not None else None
        started = time.perf_counter()
        if there is not None and self._pays(there[0], keep if here is None else max(keep, here.stop), there[1], 0):
            piece, size = there
            blob = self.disk.read(piece, bytearray(size)) if self.disk is not None else None
            if blob is not None:
                return self._restored(piece, blob, started)
        if here is not None and (found := self.memory.get(here)) and self._pays(here, keep, 0, len(found)):
            return self._restored(here, found, None)
        return keep

    def _pays(self, piece: Piece, keep: int, on_disk: int, in_memory: int) -> bool:
        gain = piece.stop - keep
        return gain >= LEAST_GAIN and self.price.worth_restoring(gain, on_disk, in_memory)

    def _restored(self, piece: Piece, blob: bytearray | memoryview, started: float | None) -> int:
        """Puts a state in; ``started``: when its file was opened."""
        begun = time.perf_counter()
        if not self._state.restore_whole(blob, piece.stop):
            self.memory.drop(piece)
            if self.disk is not None:
                self.disk.drop(piece)
            return 0
        now = time.perf_counter()
        if started is None:
            self.price.copied(len(blob), now - begun)
            self.memory.touch([piece])
        else:
            self.price.read(len(blob), now - started)
            self.saver.used.append(piece)
        return piece.stop


class StateSaver(Saver):
    """What is kept of the conversations of one ``Llama``: ``state`` is its ``Checkpoints``."""

    _state: Checkpoints

    def take(self, live: Sequence[int]) -> None:
        """Copies what the memory, which holds the state of these tokens, is about to lose, if that pays."""
        for piece, gain in self._chosen(live):
            if not self._known(piece) and self._worth(piece, gain) and (blob := self._copy(piece)):
                self._keep(piece, blob, [piece], gain)

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
                self._keep(piece, blob, [piece], gain)
            if self._waiting() > self._memory.budget // 2:
                self._write()
        self._unsaved = self._unsaved or not held  # later, whatever the memory holds then
        self._memory.touch([piece for piece, _ in chosen])
