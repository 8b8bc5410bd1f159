"""The turn: who computes with a model now.

One thread has it, for a whole call or for one step of a generation, and others wait. Code of the user runs within a
step (logits processors, stopping criteria), in signal handlers, and wherever the garbage collector ends a generator: it
must neither come in between nor wait for its own thread, so what it asks for is refused, or done when the turn is free.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hd_edge.errors import ClosedError, DecodeError

A = TypeVar("A")
T = TypeVar("T")

IN_BETWEEN = (
    "the model is within a step of this very thread: logits processors, stopping criteria and signal handlers may "
    "cancel or close it, for anything else load a second one"
)


class Turn:
    """Whose turn it is, and what waits for its end.

    A signal may raise between any two instructions: only the lock, which the interpreter itself releases, outlives a
    turn, and every other attribute is set anew when the next one begins.

    Attributes:
        taken: Whether somebody has it.
        wanted: Whether somebody has asked for it since this was last set to False, by whoever uses ``spare()``.
        check: Called before each step, and before each part of one: raises a ``DecodeError`` where a machine that
            computes is gone. None: there is none but this one.
    """

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()
        self.taken = self.wanted = False
        self._stepping = False  # within a step: nothing of its thread may come in between
        self._in_callback = False  # ... not even what is a part of the step: code of the user runs
        self._later: deque[Callable[[], object]] = deque()
        self.check: Callable[[], None] | None = None

    def begin(self) -> None:
        """This thread has got the turn; a subclass may refuse by raising."""
        self.taken = True

    def end(self) -> None:
        """This thread is about to give it up."""
        self.taken = False

    @property
    def resting(self) -> bool:
        """Whether something that nobody may disturb rests between two of its steps; a subclass knows."""
        return False

    @property
    def mine(self) -> bool:
        """Whether this thread has it."""
        return bool(self._lock._is_owned())

    @property
    def stepping(self) -> bool:
        """Whether this thread is within a step, and not in code of the user."""
        return self._stepping and self.mine and not self._in_callback

    def ready(self) -> None:
        """The context is about to be used.

        Raises:
            DecodeError: A machine that computes is gone.
        """
        if self.check is not None:
            self.check()

    @contextmanager
    def have(self, *, steps: bool, uses: bool = True) -> Iterator[None]:
        """The turn in this block: as one step, or for steps that follow.

        Args:
            steps: As one step.
            uses: Whether that step uses the context.

        Raises:
            DecodeError: This thread is within a step, or a machine that computes is gone.
        """
        nested = self.mine
        if nested and self._stepping:
            raise DecodeError(IN_BETWEEN)
        self.wanted = True
        try:
            with self._lock:
                try:
                    if not nested:
                        self._stepping = self._in_callback = False
                        self.begin()
                    if steps and uses:
                        self.ready()
                    self._stepping = steps
                    yield
                finally:
                    self._stepping = False
                    if not nested:
                        self.end()
        finally:
            self._do_later()

    def step(self, function: Callable[[A], T], argument: A, *, steps: bool = True) -> T:
        """``function(argument)`` in its turn; what ``have()`` does, without its price."""
        nested = self._lock._is_owned()
        if nested and self._stepping:
            raise DecodeError(IN_BETWEEN)
        self.wanted = True
        with self._lock:
            try:
                if not nested:
                    self._stepping = self._in_callback = False
                    self.begin()
                if steps and self.check is not None:
                    self.check()
                self._stepping = steps
                result = function(argument)
            finally:
                self._stepping = False
                if not nested:
                    self.end()
        if self._later:
            self._do_later()
        return result

    @contextmanager
    def spare(self) -> Iterator[bool]:
        """The turn as one step in this block, if that keeps nobody waiting who has asked for it.

        For threads of the house, which do a little at a time: it is refused while anybody has the turn, has asked for
        it, or rests between two steps. Within a step of this thread it is a part of that step.

        Yields:
            True if the context may be used in this block.

        Raises:
            DecodeError: It never may again: a machine that computes is gone.
        """
        if self.mine:
            self.ready()
            yield True
            return
        if self.wanted or not self._lock.acquire(blocking=False):
            yield False
            return
        try:
            free = self._begin_spare()
            try:
                if free:
                    self.ready()
                yield free
            finally:
                self._stepping = False
                if free:
                    self.end()
        finally:
            self._lock.release()
            self._do_later()

    def _begin_spare(self) -> bool:
        if self.resting:
            return False
        try:
            self.begin()
        except ClosedError:
            return False
        self._stepping, self._in_callback = True, False
        return True

    def callback(self, function: Callable[..., T]) -> Callable[..., T]:
        """Code of the user that runs within a step."""

        def call(*args: Any) -> T:
            self._in_callback = True
            try:
                return function(*args)
            finally:
                self._in_callback = False

        return call

    def later(self, task: Callable[[], object]) -> None:
        """Does something as a step: at once if the turn is free or this thread's own, else when it gets free."""
        self._later.append(task)
        self._do_later()

    def last(self, task: Callable[[], object], wait: float | None) -> None:
        """Does something as a step, also where no other may begin any more.

        Args:
            task: In code of the user that runs within a step, it is done when that step ends.
            wait: Most seconds to wait for the turn, else it is not done; None: until it is free.
        """
        self.wanted = True
        if self.mine:
            self.later(task)
        elif wait is None:
            with self._lock:
                self._do(task, nested=False)
        elif self._lock.acquire(timeout=wait):
            try:
                self._do(task, nested=False)
            finally:
                self._lock.release()

    def renew(self) -> bool:
        """In a forked child only the thread that forked is left; False if another one had the turn."""
        lost = self.taken and not self.mine
        if not self.mine:
            self._lock = threading.RLock()
        return not lost

    def _do_later(self) -> None:
        nested = self.mine
        if not self._later or (self._stepping if nested else self.taken):
            return  # whoever has the turn does it at its end
        with self._lock:
            while self._later:
                self._do(self._later.popleft(), nested)

    def _do(self, task: Callable[[], object], nested: bool) -> None:
        before = self._stepping and nested
        self.taken = self._stepping = True
        try:
            task()
        finally:
            self._stepping = before
            if not nested:
                self.end()
