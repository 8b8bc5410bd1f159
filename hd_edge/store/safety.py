"""SafeStore: a store for somebody who only wants to generate. Whatever is wrong with the file, generation goes on.

A damaged file of ours is moved aside, never deleted, and a new one begins; every other trouble leaves the file alone.
Each kind of trouble is told once, as a ``StoreWarning``.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, TypeVar

from hd_edge.config import ANSWER_WAIT, CLOSE_WAIT, data_folder
from hd_edge.errors import StoreBusyError, StoreCorruptError, StoreError, StoreForeignError, StoreWarning

from .aside import may_move, move_aside, standing
from .connection import store_errors
from .ownership import real_path
from .store import DEFAULT_CAP, Store
from .telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hd_edge.model.identity import Identity

T = TypeVar("T")

BUSY_TOLD = 3  # writes in a row that found the file locked, until that is worth a warning


def default_path(identity: Identity, kind: str = "model") -> Path:
    """The file of a model, or the statistics file of its tokenizer."""
    if kind == "statistics":
        return data_folder() / "statistics" / f"{identity.tokenizer[:16]}.sqlite3"
    return data_folder() / "models" / f"{identity.architecture[:8]}-{identity.tokenizer[:16]}.sqlite3"


class SafeStore:
    """Opens a store, uses it, warns once and goes on without it.

    Args:
        path: The file; ``None``: in memory.
        identity: Whose tokens it must hold.
        kind: ``"model"`` or ``"statistics"``.
        learn: False: nothing is written, moved or created.
        default: ``path`` is hd_edge's own choice: it may be missing, and what stands there is ours.
        cap: Bytes from which the least useful records are dropped.

    Attributes:
        store: The open store; None: there is none, or no more.
        learning: True while something can be learned, if only in memory.
        reopened: Called when another file has taken the place of the old one.

    Raises:
        StoreForeignError: The path was named by the caller, and what stands there is no store of hd_edge.
        StoreWarning: A filter makes an exception of it. Later ones are only shown: ``tell()`` never raises.
    """

    def __init__(
        self,
        path: Path | None,
        identity: Identity,
        *,
        kind: str = "model",
        learn: bool = True,
        default: bool = False,
        cap: int = DEFAULT_CAP,
    ) -> None:
        self.path = path
        self.identity = identity
        self.kind = kind
        self.learning = learn
        self.reopened: Callable[[], None] = lambda: None
        self._default = default
        self._cap = cap
        self._told: set[str] = set()
        self._damage: StoreError | None = None
        self._pausing = False  # the file was locked: no look-up waits for it again before the next write
        self._busy = 0  # writes in a row
        self._opening: list[str] | None = []  # told when there is nothing left to be left open
        self.store: Store | None = self._open(named=not default)
        owed, self._opening = self._opening, None
        try:
            for message in owed:
                warnings.warn(message, StoreWarning, stacklevel=4)
        except BaseException:  # a filter makes an exception of it
            self.close()
            raise

    # ------------------------------------------------------------------ use

    def read(self, use: Callable[[Store], T]) -> T | None:
        """Calls ``use`` with the store; None if the file does not let itself be read. For inside a step.

        Waits shortly for another process, and not again before ``resume()``. Never raises a StoreError; the next
        ``write()`` mends damage.
        """
        if self.store is None or self._pausing or self._damage is not None:
            return None
        try:
            return use(self.store)
        except StoreBusyError:
            self._pausing = True
        except StoreError as error:
            if self.learning and isinstance(error, StoreCorruptError):
                self._damage = error
            else:
                self._give_up(error)
        return None

    def resume(self) -> None:
        """A generation ended: look-ups may wait for other processes again."""
        self._pausing = False

    def write(self, use: Callable[[Store], None], *, wait: float = ANSWER_WAIT) -> bool:
        """Calls ``use`` with the store, a new one if the old is damaged or gone; False if nothing was written.

        For between generations. Never raises a StoreError.

        Args:
            use: Writes; called again after a failure, perhaps with another store.
            wait: Seconds to wait for another process.
        """
        self.resume()
        for _ in range(2):
            if self._damage is not None or (self.store is not None and not self.store.file.in_place()):
                self._renew()
            if self.store is None or not self.learning:
                return False
            self.store.file.write_timeout = wait
            try:
                use(self.store)
            except StoreBusyError as error:
                self._busy += 1
                if wait >= CLOSE_WAIT:
                    self.tell("lost", f"{error}; what was learned since is lost")
                elif self._busy == BUSY_TOLD:
                    self.tell("busy", f"{error}; what is learned is kept for the next flush")
                return False
            except StoreCorruptError as error:
                self._damage = error
            except StoreError as error:
                if self.store.file.in_place():  # else it was moved or deleted in the middle of this
                    self.tell("write", f"{error}; nothing new is learned until it can be written")
                    return False
            else:
                self._busy = 0
                return True
        if self._damage is not None:
            self._give_up(self._damage)
        return False

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self.learning = False
        if self.store is not None:
            self.store.close()
            self.store = None

    # ------------------------------------------------------------------ trouble

    def _open(self, *, named: bool) -> Store | None:
        """The store, or what there is instead of it.

        Raises:
            StoreForeignError: Only if ``named``.
        """
        if self.path is None:
            return self._store(None)
        if not os.path.lexists(self.path) and not self.learning and (self._default or self.kind == "model"):
            return None
        there = os.path.isfile(self.path)  # noqa: PTH113 - Path raises where a name is too long
        protected = self.learning and there and not _writable(self.path)
        for look in (1, 2):  # a second one: what another process is just doing must not be taken for damage
            found = standing(self.path)
            try:
                store = self._store(self.path, read_only=protected or not self.learning)
                break
            except (StoreForeignError, StoreCorruptError) as error:
                if look == 2:
                    return self._move(self.path, found, error, named=named)
            except StoreError as error:
                if self.learning and standing(self.path)[0] != found[0]:  # another process has just moved it
                    return self._move(self.path, found, error, named=named)
                return self._go_without(error)
        if protected:
            self.learning = False
            self.tell("write", f"store {self.path} is write-protected; it is only read, nothing is learned")
        return store

    def _move(
        self, path: Path, found: tuple[tuple[int, int] | None, ...], error: StoreError, *, named: bool
    ) -> Store | None:
        """Begins a new store in place of a damaged one, if that may be moved; or another process has begun it."""
        if isinstance(error, StoreForeignError) and named:
            raise error
        try:
            with store_errors(path):
                real = real_path(path)
                away = isinstance(error, StoreForeignError) and path.is_symlink()  # not ours by its place
                may = not away and may_move(real, default=self._default)
                stands = standing(real)[0] == found[0]
                if not self.learning or (stands and not may):
                    return self._go_without(error)
                aside = move_aside(real, found) if stands else None
            if aside is not None:
                foreign = isinstance(error, StoreForeignError)  # whose message says what is done with a named file
                what = f"{path} or a file beside it is none of hd_edge's" if foreign else str(error)
                self.tell("damage", f"{what}; it was moved to {aside} and a new store begins")
            return self._store(path)
        except StoreError as again:
            return self._go_without(again)

    def _go_without(self, error: StoreError) -> Store | None:
        rest = "what is learned stays in memory" if self.learning else "nothing is read from it"
        self.tell("open", f"{error}; going on without this store, {rest}")
        return self._store(None) if self.learning else None

    def _renew(self) -> None:
        """Opens what stands at the path now: the file is damaged, was deleted or replaced."""
        old, damage = self.store, self._damage
        if old is None:
            self._damage = None
            return
        found = None if self.path is None else standing(self.path)
        gone = not old.file.in_place()
        old.close()
        if gone or self.path is None or found is None or damage is None:
            self.tell("damage", f"store {self.path} was deleted or replaced while in use; it begins anew")
            self.store = self._open(named=False)
        else:
            self.store = self._move(self.path, found, damage, named=False)
        self._damage = None  # not before: whoever is interrupted on the way comes here again
        self.reopened()

    def _give_up(self, error: StoreError) -> None:
        self.close()
        self.tell("read", f"{error}; going on without the {self.kind} tier's file")

    def _store(self, path: Path | None, *, read_only: bool = False) -> Store:
        return Store(path, self.identity, kind=self.kind, read_only=read_only, cap=self._cap)

    def tell(self, kind: str, message: str) -> None:
        """Warns, once per kind of trouble. Raises nothing."""
        if kind in self._told:
            return
        self._told.add(kind)
        if self._opening is not None:
            self._opening.append(message)
        else:
            tell(message, StoreWarning, stacklevel=4)


def _writable(path: Path) -> bool:
    """False for a file that its owner protected, also for root, who could write it all the same."""
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)
