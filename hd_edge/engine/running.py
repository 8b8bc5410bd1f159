"""A stream that runs in a thread of its own, so that whoever waits for it can stop it at any moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hd_edge.errors import NO_MEMORY
from hd_edge.model.wanted import unwanted

if TYPE_CHECKING:
    from .completion import Completions


@dataclass(frozen=True)
class Arrival:
    """One thing that came out of a running stream.

    Attributes:
        chunk: A completion chunk, or None at the end.
        tier: Where its (last) token came from.
        error: What ended the stream; None if it ended well.
    """

    chunk: dict[str, Any] | None
    tier: str = "target"
    error: BaseException | None = None


class RunningStream:
    """Runs a stream of completion chunks, from ``start()`` on.

    Args:
        llm: The model the stream runs on.
        begin: Begins the stream; called in the thread.
        deliver: Called in the thread with each arrival; the last one has no chunk.

    Attributes:
        begun: Whether a thread runs it, or did.
    """

    def __init__(
        self, llm: Completions, begin: Callable[[], Iterator[dict[str, Any]]], deliver: Callable[[Arrival], None]
    ) -> None:
        self._llm, self._begin, self._deliver = llm, begin, deliver
        self._stopped = self._ended = False
        self.begun = False
        self._unclaimed = [None]
        self._left = threading.Event()  # nothing of it runs any more; a thread that is only beginning is not alive yet
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins. What a signal's handler raises meanwhile may leave a thread that has ``begun``; ``stop()`` ends it.

        Raises:
            RuntimeError, MemoryError: No thread can be made.
        """
        self.begun = True
        try:
            self._thread.start()
        except BaseException:
            self.begun = not self._claim()
            raise

    def _claim(self) -> bool:
        """Who is first: the thread, or whoever failed to start it? If it comes at all then, it does nothing."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def _run(self) -> None:
        if self._claim():
            unwanted.set(lambda: self._stopped)
            self._answer()

    def _answer(self) -> None:
        error: BaseException | None = None
        try:
            stream = self._begin()
            try:
                for chunk in stream:
                    if self._stopped:
                        break
                    self._deliver(Arrival(chunk, self._llm.tier))
            finally:
                if close := getattr(stream, "close", None):
                    close()
                self._llm.catch_up()
        except MemoryError:  # a new one: the frames of that one hold what took the memory, and telling takes some, too
            error = MemoryError(NO_MEMORY)
        except BaseException as raised:  # handed to the thread that waits
            error = raised
        self._ended = True
        try:
            self._deliver(Arrival(None, error=error))
        finally:
            self._left.set()

    def stop(self, wait: float | None = None) -> bool:
        """Cancels the stream and waits for its end; within one forward on the CPU.

        Args:
            wait: Most seconds to wait; None: until the end.

        Returns:
            True if it has ended.
        """
        self._stopped = True
        step = 0.02 if wait is None else min(wait, 0.02)
        while self._runs():
            if not self._ended:  # again and again: a generation that is only beginning takes no notice
                self._llm.cancel()
            self._left.wait(step)
            if wait is not None:
                wait -= step
                if wait <= 0:
                    break
        return not self._runs()

    def _runs(self) -> bool:
        return self.begun and not self._left.is_set()
