"""What every prefix cache does around a generation: it waits for its end, then has saved what is to be kept."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hd_edge.errors import StoreWarning
from hd_edge.store.telling import tell

from .memory import MemoryPieces
from .price import Price

if TYPE_CHECKING:
    from .disk import Disk
    from .saver import Saver, Spare


class PrefixBase(ABC):
    """Prefixes of one ``Llama``.

    Args:
        state: Its memory; what is asked of it is for the saver to say.
        root: Fingerprint of model and settings.
        name: The model's name, for people.
        memory: State in memory.
        disk: State on disk; None: none.
        price: What computing and reading cost here.
        turn: Tells when the memory may be read.
        live: The tokens whose state it holds then.
    """

    def __init__(
        self,
        state: Any,
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
        self._closed = False
        self._told = False
        self._begin()

    @abstractmethod
    def _saver(self) -> Saver:
        """A new one, for the attributes as they are now."""

    def _begin(self) -> None:
        self.saver = self._saver()
        self._pid = os.getpid()

    def enter(self) -> None:
        """A generation begins: until it ends nothing is saved."""
        self._renew()
        self._tell()
        self.saver.begun()

    def _renew(self) -> None:
        """After a fork, which copied locks but no threads: begins anew, and leaves files to the parent."""
        if self._pid != os.getpid():
            self.memory, self.disk = self.memory.emptied(), None
            self._begin()

    def _tell(self) -> None:
        if self.disk is not None and self.disk.trouble and not self._told:
            self._told = True
            tell(self.disk.trouble, StoreWarning, stacklevel=3)

    def leave(self) -> None:
        """A generation ended; in a forked child one of its parent's, of which the parent keeps what is to be kept."""
        if self._pid == os.getpid():  # else it may be the interpreter's end that ends it: no thread begins then
            self.saver.finished()

    def computed(self, tokens: int, seconds: float) -> None:
        """Takes note of what a prefill cost."""
        self.price.computed(tokens, seconds)

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
