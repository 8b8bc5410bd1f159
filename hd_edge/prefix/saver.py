"""Saver: copies state out of the KV cache and writes it to the disk, in a thread of its own, while nobody generates.

Who may read the KV cache is for the model's turn to say: each piece is copied in a spare one, which is refused while
anybody computes, waits, or rests between two tokens. What the saver knows of generations only tells it when to wake.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hd_edge.errors import DecodeError
from hd_edge.model.forks import HeldAtForks, Order

from .memory import MemoryPieces
from .pieces import TOKEN, Piece, cut
from .price import Price

if TYPE_CHECKING:
    from .disk import Disk

IDLE = 0.2  # seconds without a generation before anything is saved
BUSY_POLL = 0.05  # seconds between two looks at a locked index when closing
CLOSING = 10.0  # seconds that close() may spend on writing what is left


Blob = bytearray | memoryview  # state of a piece

log = logging.getLogger("hd_edge")
_savers = HeldAtForks("saving", Order.SAVER)


class State(Protocol):
    """The KV cache of the conversation: ``hd_edge.backend.kv_state.KVState``."""

    def save(self, start: int, stop: int) -> bytearray | None:
        """The state of these positions, or None."""
        ...

    def restore(self, blob: Blob, start: int, stop: int) -> bool:
        """Puts saved positions behind the end at ``start``; False if that cannot be."""
        ...

    def cut(self, stop: int) -> None:
        """Ends the conversation at a position."""
        ...


class Spare(Protocol):
    """Who computes with the model: ``hd_edge.engine.turn.Turn``."""

    wanted: bool  # somebody has asked for the turn since this was set to False

    def spare(self) -> AbstractContextManager[bool]:
        """The turn in a block, if that keeps nobody waiting; a ``DecodeError`` if there never will be one again."""
        ...


class _Late(Exception):  # noqa: N818  ends a write, is no error
    """close() has waited long enough."""


class Saver:
    """What is kept of the conversations of one ``Llama``.

    Args:
        state: Its KV cache, a ``State``.
        turn: Tells when the cache may be read.
        live: The tokens whose state it holds, when asked in a turn; None: the model is gone.
        root: Fingerprint of model and settings.
        name: The model's name, for people.
        memory: Pieces in memory.
        disk: Pieces on disk; None: none.
        price: What computing and reading cost here.
        advance: The conversation is saved: goes on to another one; False if there is none.

    Attributes:
        token_bytes: State of one token; 0: not known yet.
        used: Pieces on disk that were used, to be marked so.
        saving: Held by who saves.
    """

    def __init__(
        self,
        state: Any,
        turn: Spare,
        live: Callable[[], Sequence[int] | None],
        root: bytes,
        name: str,
        memory: MemoryPieces,
        disk: Disk | None,
        price: Price,
        *,
        advance: Callable[[], bool],
    ) -> None:
        self._advance = advance
        self._state, self._turn, self._live, self._root, self._name = state, turn, live, root, name
        self._memory, self._disk, self._price = memory, disk, price
        self.token_bytes = 0
        self.used: deque[Piece] = deque()
        self._pending: deque[tuple[Piece, bytearray]] = deque()  # to be written
        self._changed = threading.Condition()  # of the next four
        self._generating = False
        self._unsaved = False  # the KV cache may hold what is not saved
        self._closed = False
        self._deadline = 0.0
        self.saving: Any = threading.RLock()
        _savers.add(self)
        self._thread: threading.Thread | None = None

    # -- on the way to an answer -----------------------------------------------------------------------------------

    def take(self, live: Sequence[int]) -> None:
        """Copies what the KV cache, which holds the state of these tokens, is about to lose, if that pays."""
        chain = list(cut(self._root, live))
        for piece in chain:
            if self._known(piece):
                continue
            if not self._worth_taking(piece):
                break
            blob = self._copy(piece)
            if blob is None:
                break
            self._keep(piece, blob, chain, chain[-1].stop)
        self._memory.touch(chain)

    def begun(self) -> None:
        """A generation begins: writing pauses."""
        with self._changed:
            self._generating = True
            self._changed.notify_all()

    def finished(self) -> None:
        """A generation ended: its state is saved when some time has passed."""
        with self._changed:
            self._generating = False
            if self._price.compute is not None and not self._closed:
                self._unsaved = True
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="hd_edge-prefix", daemon=True)
                    self._thread.start()
            self._changed.notify_all()

    def _known(self, piece: Piece) -> bool:
        """True if the piece, or a longer one that begins with it, is stored."""
        here = self._memory.find(piece.parent, piece.start, piece.tokens)
        if here is not None and piece.start + here[1] == piece.stop:
            return True
        return self._disk is not None and self._disk.has(piece)

    def _worth_taking(self, piece: Piece) -> bool:
        n = len(piece.tokens) // TOKEN
        return self._price.worth_taking(n, n * self.token_bytes)

    def _copy(self, piece: Piece) -> bytearray | None:
        started = time.perf_counter()
        blob: bytearray | None = self._state.save(piece.start, piece.stop)
        if blob is not None:
            self._price.copied(len(blob), time.perf_counter() - started)
            self.token_bytes = len(blob) // (piece.stop - piece.start)
        return blob

    def _keep(self, piece: Piece, blob: bytearray, chain: Sequence[Piece], gain: int) -> None:
        """Keeps a piece of a conversation: in memory, and for the disk if reading what saves ``gain`` tokens pays."""
        self._memory.put(piece, blob, {one.name for one in chain})
        disk = self._disk
        if disk is None or not self._price.worth_writing(gain, chain[-1].stop * self.token_bytes):
            return
        waiting = self._waiting()
        fits = not waiting or waiting + len(blob) <= self._memory.budget
        if fits and disk.room_for(piece.stop * self.token_bytes):
            self._pending.append((piece, blob))

    def _waiting(self) -> int:
        return sum(len(blob) for _, blob in tuple(self._pending))

    # -- while nobody generates ------------------------------------------------------------------------------------

    def _work(self) -> None:
        with suppress(_Late):
            while self._idle():
                self._finish()

    def _idle(self) -> bool:
        """Waits until there is something to do and nobody has come for a while; False once closed."""
        with self._changed:
            while not self._closed:
                self._changed.wait_for(
                    lambda: self._closed or (not self._generating and (self._unsaved or self._pending or self.used))
                )
                self._turn.wanted = False
                came = self._changed.wait_for(lambda: self._closed or self._generating, timeout=IDLE)
                if not came and not self._turn.wanted:
                    return True
        return False

    def _finish(self) -> None:
        with self.saving:
            try:
                self._take_unsaved()
            except DecodeError as error:
                log.warning("what the KV cache holds is not saved: %s", error)
                self._unsaved = False
            self._write()

    def _take_unsaved(self) -> None:
        if not self._unsaved:
            return
        live = None
        with self._turn.spare() as free:
            if free:  # within the turn, so that no generation can end in between
                live, self._unsaved = self._live(), False
        if live is not None:
            self._save(live)
            self._unsaved = self._unsaved or self._advance()

    def _save(self, live: Sequence[int]) -> None:
        """Saves a conversation, as long as nobody uses the context."""
        chain = list(cut(self._root, live))
        for piece in chain:
            if self._disk is not None and self._disk.has(piece):
                self.used.append(piece)
                continue
            blob = self._memory.get(piece)
            if blob is None:
                if self._disk is None and self._known(piece):
                    continue
                if not self._worth_taking(piece):
                    break
                with self._turn.spare() as free:
                    held = free and self._holds(live, piece.stop)
                    blob = self._copy(piece) if held else None
                if not held:
                    self._unsaved = True  # later, whatever the KV cache holds then
                if blob is None:
                    break
            self._keep(piece, blob, chain, chain[-1].stop)
            if self._waiting() > self._memory.budget // 2:
                self._write()
        self._memory.touch(chain)

    def _holds(self, live: Sequence[int], stop: int) -> bool:
        """True if the KV cache still holds the state of the first of these tokens; asked in a turn."""
        now = self._live()
        return now is not None and np.array_equal(now[:stop], live[:stop])

    def _write(self) -> None:
        """Writes what is waiting for the disk, and what the index should know."""
        disk = self._disk
        if disk is None:
            return
        now = time.time()  # one time for all of a prompt: its end goes before its beginning
        used = [self.used.popleft() for _ in range(len(self.used))]
        if used:
            disk.touch(used, now)
        wrote = False
        while self._pending:
            wrote = disk.write(*self._pending[0], now, self._pause) or wrote
            if not disk.busy:
                self._pending.popleft()
            elif not self._closed or time.monotonic() > self._deadline:
                break  # later
            else:
                time.sleep(BUSY_POLL)
        if (wrote or used) and self._price.compute is not None:
            disk.save_rates(self._name, self._price.compute, self._price.disk)

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._generating)
            if self._closed and time.monotonic() > self._deadline:
                raise _Late

    def flush(self) -> None:
        """Saves now what would be saved when idle; nobody may be generating."""
        self._turn.wanted = False
        self._finish()

    def close(self, live: Sequence[int]) -> None:
        """Saves what is left, within ten seconds, and ends the thread; ``live`` as for ``PrefixCache.close``."""
        with self._changed:
            self._closed, self._deadline = True, time.monotonic() + CLOSING
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSING)
        if not self.saving.acquire(blocking=False):  # it still waits for the disk
            return
        self._live = lambda: live
        try:
            with suppress(_Late):
                self._finish()
        finally:
            self.saving.release()
