"""Disk: pieces in a folder, index and files together, within a budget. Nothing here raises for what a disk can do.

Whatever is wrong with the folder, its index or a file costs time: the piece counts as absent. The first trouble is kept
in ``trouble`` for whoever talks to the user.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hd_edge.errors import StoreBusyError, StoreCorruptError, StoreError
from hd_edge.model.folder import make_folder
from hd_edge.store.aside import may_move, move_aside, standing
from hd_edge.store.ownership import ORPHAN_AGE, is_old

from . import files
from .places import DEFAULT_BUDGET, LEAST_FREE, SHARE_OF_FREE, free_bytes

if TYPE_CHECKING:
    from .index import Index
    from .pieces import Piece

T = TypeVar("T")

INDEX = "index.sqlite3"
BUSY_WAIT = 0.2  # seconds that an answer may wait for another process's lock on the index
BUSY_REST = 2.0  # seconds that the index counts as absent then


class Disk:
    """Pieces of one model on the disk.

    Args:
        folder: Shared by models and processes; made by the first write.
        fingerprint: Of model and settings.
        budget: Most bytes of all models; None: the default.
        whole: A piece's file has the state of all tokens up to its end, which cannot be cut: a longer one does not
            replace it.

    Attributes:
        trouble: What went wrong first; empty if nothing did.
    """

    def __init__(self, folder: Path, fingerprint: bytes, budget: int | None = None, *, whole: bool = False) -> None:
        self.folder = folder
        self.trouble = ""
        self._fingerprint = fingerprint
        self._budget = budget
        self._whole = whole
        self._full = False
        self._swept = False
        self._failed = self._closed = False
        self._rested = 0.0  # until then the index counts as absent
        self._index: Index | None = None
        self._opening = threading.Lock()  # the saver's thread and one that answers come here

    def _opened(self, *, create: bool = False) -> Index | None:
        """The index; None if there is none yet, or it cannot be used. Made by the first write, not before."""
        if self.busy:
            return None
        with self._opening:
            try:
                if self._index is None and not self._failed and (create or (self.folder / INDEX).exists()):
                    self._index = open_index(self.folder, BUSY_WAIT)
            except (StoreError, OSError) as error:
                self._failed = not isinstance(error, StoreBusyError)
                self._note(error)
            return self._index

    @property
    def busy(self) -> bool:
        """Whether another process held the index a moment ago; it counts as absent then."""
        return time.monotonic() < self._rested

    def _note(self, error: Exception) -> None:
        if isinstance(error, StoreBusyError):  # a lock passes
            self._rested = time.monotonic() + BUSY_REST
        elif not self._closed:  # else its saver was late
            self.trouble = self.trouble or f"{error}; prefixes are kept in memory only"

    def _ask(self, question: Callable[[Index], T], otherwise: T) -> T:
        """What the index answers; ``otherwise`` where there is none yet, or it cannot be used."""
        index = self._opened()
        if index is None:
            return otherwise
        try:
            return question(index)
        except StoreError as error:
            self._note(error)
            return otherwise

    def find(self, parent: bytes, start: int, rest: bytes) -> tuple[Piece, int, int] | None:
        """The child of ``parent`` that shares most tokens with the packed ``rest``, how many, and its bytes."""
        return self._ask(lambda index: index.find(parent, start, rest), None)

    def latest(self, chain: Sequence[Piece]) -> tuple[Piece, int] | None:
        """The whole state that holds most of a prompt, cut into these pieces, and nothing else; and its bytes."""
        return self._ask(lambda index: index.latest(chain), None)

    def read(self, piece: Piece, buffer: bytearray) -> memoryview | None:
        """The state of a piece, in ``buffer``; None, and the piece is forgotten, if it is not there whole."""
        blob = files.read(self.folder, self._fingerprint, piece, buffer)
        if blob is None:
            self.drop(piece)
        return blob

    def drop(self, piece: Piece) -> None:
        """Forgets a piece and removes its file."""
        try:
            if (index := self._opened()) is not None:
                index.drop(piece)
            files.remove(self.folder, piece.name)
        except (StoreError, OSError) as error:
            self._note(error)

    def has(self, piece: Piece) -> bool:
        """True if the piece, or a longer one that begins with it and is no whole state, is there."""
        if self._whole:
            last = self.latest([piece])
            found = (last[0], last[0].stop - piece.start, last[1]) if last else None
        else:
            found = self.find(piece.parent, piece.start, piece.tokens)
        if found is None or piece.start + found[1] != piece.stop:
            return False
        if not files.is_there(self.folder, found[0].name, found[2]):
            self.drop(found[0])
            return False
        return True

    def room_for(self, size: int) -> bool:
        """True if a prompt may take so many bytes: half of the budget at most."""
        if self._failed or self._full:
            return False
        try:
            return size <= self._limit() // 2
        except OSError as error:  # a folder above it was closed to us
            self._full = True
            self._note(error)
            return False

    def _limit(self) -> int:
        if self._budget is not None:
            return self._budget
        return min(DEFAULT_BUDGET, int(free_bytes(self.folder) * SHARE_OF_FREE))

    def write(self, piece: Piece, blob: bytearray, now: float, pause: Callable[[], None]) -> bool:
        """Makes room and writes a piece; False if that could not be.

        Args:
            piece: What is written.
            blob: Its state.
            now: Time of use, one for all pieces of a prompt.
            pause: Called between chunks; returns when writing may go on. What it raises ends the writing.
        """
        index = self._opened(create=True) if not self._full else None
        if index is None:
            return False
        try:
            if not self._swept:  # once, and not while somebody waits for the model to load
                self._swept = True
                sweep(self.folder, index)
            if free_bytes(self.folder) < LEAST_FREE + len(blob):
                self._full = True
                self._note(StoreError(f"the disk of {self.folder} is nearly full"))
                return False
            for name in index.evict(self._limit() - len(blob) - files.MOST_HEAD):
                files.remove(self.folder, name)
            size = files.write(self.folder, self._fingerprint, piece, blob, pause)
            for name in index.add(self._fingerprint, piece, size, now, whole=self._whole):
                files.remove(self.folder, name)
        except FileExistsError:
            return False
        except (StoreError, OSError) as error:
            self._full = isinstance(error, OSError)  # full or read-only: it stays so
            self._note(error)
            return False
        return True

    def touch(self, pieces: Iterable[Piece], now: float) -> None:
        """These were used now."""
        self._ask(lambda index: index.touch(pieces, now), None)

    def rates(self) -> tuple[float | None, float | None]:
        """Tokens per second of prefill and bytes per second of the disk, as last seen."""
        never: tuple[float | None, float | None] = (None, None)
        return self._ask(lambda index: index.rates(self._fingerprint), never)

    def save_rates(self, name: str, compute: float, disk: float) -> None:
        """Keeps the rates, and the model's name for people."""
        self._ask(lambda index: index.save_rates(self._fingerprint, name, compute, disk), None)

    def close(self) -> None:
        """Closes the index for good; a second call does nothing."""
        with self._opening:
            self._failed = self._closed = True
            if self._index is not None:
                self._index.close()
                self._index = None


def open_index(folder: Path, wait: float | None = None) -> Index:
    """The index of a folder; a damaged one of ours is moved aside and a new one begins, any other is left alone.

    Args:
        folder: Of all pieces.
        wait: As for ``Index``.

    Raises:
        StoreError: It cannot be used.
        OSError: The folder cannot be made.
    """
    from .index import APPLICATION_ID, Index

    make_folder(folder)
    path = folder / INDEX
    with suppress(StoreCorruptError):  # a second look: what another process is just doing is no damage
        return Index(path, wait)
    found = standing(path)
    try:
        return Index(path, wait)
    except StoreCorruptError:
        may = may_move(path, default=False, application=APPLICATION_ID)
        if standing(path)[0] == found[0]:  # else another process was faster
            if not may:
                raise
            move_aside(path, found)
        return Index(path, wait)


def sweep(folder: Path, index: Index, age: float = ORPHAN_AGE) -> int:
    """Removes files of ours that have no row and are old enough to be nobody's newest; returns how many."""
    names = index.names()
    removed = 0
    for path in piece_files(folder):
        known = files.NAME.fullmatch(path.name) and bytes.fromhex(path.stem) in names
        if not known and is_old(path, age) and files.is_ours(path):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def piece_files(folder: Path) -> list[Path]:
    """Files in the folder that are named as pieces are, whole or half written."""
    found = sorted(folder.glob("[0-9a-f][0-9a-f]/*.kv")) + sorted(folder.glob("[0-9a-f][0-9a-f]/.*.new"))
    return [path for path in found if files.NAME.fullmatch(path.name) or files.TEMPORARY.fullmatch(path.name)]
