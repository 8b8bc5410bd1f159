"""PrefixCache: finds the longest known beginning of a prompt, puts it into the KV cache, keeps what was computed.

The thread that generates calls ``enter``, ``fetch`` and ``leave``. Saving is done by a thread of its own while nobody
generates: first state is copied to memory, piece by piece, each in a spare turn of the model, then files are written.
Only state that a prompt is about to overwrite is copied on the way to an answer, and only if that costs less than a
tenth of computing it again.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hd_edge.backend.kv_state import is_part
from hd_edge.errors import StoreWarning

from .memory import MemoryPieces
from .pieces import PIECE, TOKEN, Piece, pack
from .price import Price
from .saver import Blob, Saver, Spare, State

if TYPE_CHECKING:
    from .disk import Disk

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


class PrefixCache:
    """Prefixes of one ``Llama``.

    Args:
        state: Its KV cache.
        root: Fingerprint of model and settings.
        name: The model's name, for people.
        memory: Pieces in memory.
        disk: Pieces on disk; None: none.
        price: What computing and reading cost here.
        turn: Tells when the KV cache may be read.
        live: The tokens whose state it holds then.
    """

    def __init__(
        self,
        state: State,
        root: bytes,
        name: str,
        memory: MemoryPieces,
        disk: Disk | None,
        price: Price | None = None,
        *,
        turn: Spare,
        live: Callable[[], Sequence[int] | None],
    ) -> None:
        self.memory = memory
        self.disk = disk
        self.price = price or Price()
        if disk is not None:
            compute, rate = disk.rates()
            self.price.compute = self.price.compute or compute
            self.price.disk = rate or self.price.disk
        self._state, self._root, self._name = state, root, name
        self._turn, self._live = turn, live
        self._advance: Callable[[], bool] = _one_only
        self._closed = False
        self._told = False
        self._begin()

    def _begin(self) -> None:
        about = (self._root, self._name, self.memory, self.disk, self.price)
        self.saver = Saver(self._state, self._turn, self._live, *about, advance=self._advance)
        self._pid = os.getpid()

    def share(self, state: State, live: Callable[[], Sequence[int] | None], advance: Callable[[], bool]) -> None:
        """From now on for many conversations; before the first generation.

        Args:
            state: Of the one that is looked at.
            live: The tokens of the one that is to be saved.
            advance: It is saved; False if no other is left.
        """
        self._state, self._live, self._advance = state, live, advance
        self._begin()

    def enter(self) -> None:
        """A generation begins: until it ends nothing is saved."""
        self._renew()
        self._tell()
        self.saver.begun()

    def _renew(self) -> None:
        """After a fork, which copied locks but no threads: begins anew, and leaves files to the parent."""
        if self._pid != os.getpid():
            self.memory, self.disk = MemoryPieces(self.memory.budget), None
            self._begin()

    def _tell(self) -> None:
        if self.disk is not None and self.disk.trouble and not self._told:
            self._told = True
            warnings.warn(self.disk.trouble, StoreWarning, stacklevel=3)

    def leave(self) -> None:
        """A generation ended; in a forked child one of its parent's, of which the parent keeps what is to be kept."""
        if self._pid == os.getpid():  # else it may be the interpreter's end that ends it: no thread begins then
            self.saver.finished()

    def computed(self, tokens: int, seconds: float) -> None:
        """Takes note of what a prefill cost."""
        self.price.computed(tokens, seconds)

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

    def close(self, live: Sequence[int]) -> None:
        """Saves what is left, within ten seconds, and closes; a second call does nothing.

        Args:
            live: The tokens whose state the KV cache holds; it must still be there, and this thread's.
        """
        if self._closed:
            return
        self._closed = True
        self._renew()
        self.saver.close(live)
        self.memory.clear()
        if self.disk is not None:
            self.disk.close()
        self._tell()


def _one_only() -> bool:
    return False
