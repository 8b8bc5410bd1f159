"""Wish: that what runs with a model shall end. It waits while something is computed that must not end half-way."""

from __future__ import annotations

from typing import Protocol


class AbortFlag(Protocol):
    """What llama.cpp asks during a forward: a native ``AbortFlag`` or ``Verifier``."""

    @property
    def cancelled(self) -> bool:
        """True if the forward shall end."""
        ...

    def cancel(self) -> None:
        """Any thread, at any moment."""
        ...

    def clear_cancel(self) -> None:
        """In the thread whose forward was ended, if one was."""
        ...


class Wish:
    """As an ``AbortFlag``, over one; whoever calls it has a lock.

    Args:
        flag: Ends the forwards.
    """

    def __init__(self, flag: AbortFlag) -> None:
        self._flag = flag
        self._held = self._waiting = False

    @property
    def cancelled(self) -> bool:
        """True from ``cancel()`` until ``clear_cancel()``."""
        return self._waiting or self._flag.cancelled

    def cancel(self) -> None:
        """Ends the forward under way, or waits."""
        if self._held:
            self._waiting = True
        else:
            self._flag.cancel()

    def clear_cancel(self) -> None:
        """What it was for has ended."""
        self._held = self._waiting = False
        self._flag.clear_cancel()

    def hold(self) -> None:
        """From now on no forward is ended."""
        self._held, self._waiting = True, self.cancelled
        self._flag.clear_cancel()

    def let_go(self) -> None:
        """A wish from before, or from meanwhile, is for what comes now."""
        waiting, self._held, self._waiting = self._waiting, False, False
        if waiting:
            self._flag.cancel()
