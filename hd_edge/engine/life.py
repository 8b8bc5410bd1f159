"""The life of one model: which generation runs, how it is stopped, and what holds once the model is closed.

llama.cpp's context is made for one caller at a time, and is freed whoever still uses it. A call has the turn to its
end, a generator for one step; a generator that rests between two tokens has nothing: whatever else uses the context
ends it, and its next step says so.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

from hd_edge.errors import OTHER_USE, ClosedError, DecodeError

from . import endings
from .closed import abandon
from .turn import Turn
from .wish import AbortFlag, Wish

T = TypeVar("T")
Tokens = Generator[T, Sequence[int] | None, None]


class Life(Turn):
    """One per model.

    Args:
        free: Frees the model; a method of its owner, called at the end of the interpreter if nobody closed it before.

    Attributes:
        threads: How many compute; more than one do not survive a fork.
        lost: Why this forked child cannot use it; empty: it can.
    """

    def __init__(self, free: Callable[[], None]) -> None:
        super().__init__()
        self.threads = 1
        self._free_at_exit: weakref.WeakMethod[Any] = weakref.WeakMethod(free)
        self._flag: Wish | None = None
        self._state: Any = threading.RLock()  # for moments: whom a cancel is for. Signal handlers take it again
        self._reading: Any = threading.RLock()  # nobody frees the model while it is held
        self._open: weakref.ref[Any] | None = None  # the generation begun last, until it ends
        self._closing = self._closed = self._exiting = False
        self.lost = ""  # why a forked child cannot use it
        endings.begun(self)

    def attach(self, flag: AbortFlag) -> None:
        """From now on ``cancel()`` reaches the forwards."""
        self._flag = Wish(flag)

    # -- using the context ---------------------------------------------------------------------------------------

    @contextmanager
    def call(self) -> Iterator[None]:
        """Has the turn in this block, in which generations may run; one that was left open ends.

        Raises:
            ClosedError: The model was closed, before or while this call waited.
            DecodeError: This thread is within a step of the same model.
        """
        with self.have(steps=False):
            if self._open is not None:
                with self.have(steps=True):
                    self._end_open()
            yield

    @contextmanager
    def operation(self, *, ends: bool = True, uses: bool = True) -> Iterator[None]:
        """One use of the context; as ``call()``, but nothing may run in between.

        Args:
            ends: Whether a generation that was left open ends.
            uses: As of ``have()``.
        """
        with self.have(steps=True, uses=uses):
            if ends:
                self._end_open()
            yield

    def part(self) -> AbstractContextManager[None]:
        """A part of the operation in which this thread is, or one of its own."""
        if not self.stepping:
            return self.operation()
        self.ready()
        return nullcontext()

    def steps(self, generation: Tokens[T]) -> Tokens[T]:
        """Runs a generation; each of its steps has the turn.

        Raises:
            ClosedError: The model was closed, before the generation began or while it ran.
            DecodeError: Something else used the context meanwhile, or this thread is within a step of the same model.
        """
        mine = weakref.ref(generation)
        sent = None

        def send(value: Sequence[int] | None) -> T:
            if self._open is not mine:
                raise DecodeError(OTHER_USE)
            try:
                return generation.send(value)
            except BaseException:
                self._open = None
                raise

        try:
            with self.operation():
                self._open = mine
            while True:
                try:
                    token = self.step(send, sent)
                except StopIteration:
                    break
                sent = yield token
        finally:  # also where it is dropped between two tokens, perhaps by the garbage collector in another thread
            self.later(partial(self._end, mine, generation))
        if self._closing or self.lost:
            raise self._over()

    def chunks(self, stream: Generator[T, None, None]) -> Generator[T, None, None]:
        """Runs a stream over a generation; it has the turn from each chunk's request to the chunk.

        Raises:
            ClosedError: The model was closed.
        """
        try:
            while True:
                try:
                    chunk = self.step(next, stream, steps=False)
                except StopIteration:
                    return
                yield chunk
        finally:
            self.later(stream.close)

    def _end_open(self) -> None:
        generation = None if self._open is None else self._open()
        if generation is not None:
            self._end(self._open, generation)

    def _end(self, mine: weakref.ref[Any] | None, generation: Generator[Any, Any, Any]) -> None:
        try:
            generation.close()
        finally:
            if self._open is mine:
                self._open = None
                self._clear()

    def begin(self) -> None:
        """Refuses once the model is closed. What was cancelled before this turn began is over."""
        with self._state:
            if self._closing or self.lost:
                raise self._over()
            self.taken = True
            if self._open is None:
                self._clear()

    @property
    def resting(self) -> bool:
        """Whether a generation rests between two tokens."""
        return self._open is not None

    def end(self) -> None:
        """What was cancelled has ended, unless a generation rests."""
        with self._state:
            self.taken = False
            if self._open is None:
                self._clear()

    # -- cancelling ----------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Ends what runs, or rests between two tokens; nothing if there is neither. Any thread, at any moment."""
        with self._state:
            if self._flag is not None and (self.taken or self._open is not None):
                self._flag.cancel()

    @property
    def cancelled(self) -> bool:
        """True from ``cancel()`` until what it was for has ended."""
        return self._flag is not None and self._flag.cancelled

    @contextmanager
    def settling(self) -> Iterator[None]:
        """What this block computes is not cancelled, by no wish: it leaves what was said as it is to be found."""
        with self._state:
            if self._flag is not None:
                self._flag.hold()
        try:
            yield
        finally:
            with self._state:
                if self._flag is not None:
                    self._flag.let_go()

    def _clear(self) -> None:
        with self._state:
            if self._flag is not None:
                self._flag.clear_cancel()
                if self._closing or self.lost:
                    self._flag.cancel()

    # -- the end -------------------------------------------------------------------------------------------------

    def read(self, function: Callable[..., T], *args: Any) -> T:
        """Calls a function that reads the model only: it waits for nobody who computes, and nobody frees the model.

        Raises:
            ClosedError: The model was closed.
        """
        if self.mine:
            return function(*args)
        with self._reading:
            if self._closing:
                raise self._over()
            return function(*args)

    def close(self, free: Callable[[], None], wait: float | None = None) -> None:
        """Cancels what runs, waits for the step under way, ends a generation left open, and frees the model.

        Within a step of this thread (a callback, a signal handler) the model is freed when that step ends.

        Args:
            free: Frees the model.
            wait: Most seconds to wait; None: until the step ends.
        """
        if self._closed:  # at the end of the interpreter a thread that is no more may hold the lock
            return
        with self._state:
            self._closing = True
            if self._flag is not None:
                self._flag.cancel()
        self.last(partial(self._free, free), wait)

    def _free(self, free: Callable[[], None]) -> None:
        with self._reading:
            if self._closed:
                return
            try:
                if not self.lost:
                    self._end_open()
            finally:
                self._closed, self._flag = True, None
                if not self.lost:
                    free()

    def _over(self) -> BaseException:
        """What whoever comes too late is told; a thread that outlives the interpreter just ends, and prints nothing."""
        if self._exiting and threading.current_thread() is not threading.main_thread():
            return SystemExit()
        return ClosedError(self.lost) if self.lost else ClosedError()

    def end_with_interpreter(self, wait: float) -> None:
        """Closes the model while the interpreter is whole: a thread in the middle of a forward would crash later."""
        self._exiting = True
        if self._flag is None and not self._closed:  # a thread has not loaded it yet: half a model is not freed
            self._abandon()
            self._closed = True
        elif (free := self._free_at_exit()) is not None:
            self.close(free, wait)
            if not self._closed:  # whoever still computes does so until the process ends
                self._abandon()
                self._closed = True

    def _abandon(self) -> None:
        """The model is never freed, by the garbage collector neither."""
        if (free := self._free_at_exit()) is not None:
            abandon(free.__self__)

    def after_fork(self) -> None:
        """In a forked child only the thread that forked is left: others neither compute nor give locks back."""
        for name in ("_reading", "_state"):
            if not getattr(self, name)._is_owned():
                setattr(self, name, threading.RLock())
        reason = "" if self.renew() else "another thread was computing with it"
        if self._closed:  # there is nothing left that could be used or freed
            return
        if self.threads > 1:
            reason = f"the {self.threads} threads it computes with stayed behind"
        if self.check is not None:
            reason = "its connections to other machines stayed behind"
        if reason:
            self.lost = (
                f"this model was loaded in process {os.getppid()} and cannot be used in its forked child "
                f"{os.getpid()}: {reason}; load it there with one thread, or start the child with 'spawn'"
            )
            self._clear()  # what it was forked in the middle of ends before its next forward
            self._abandon()  # to free it would wait for those threads
