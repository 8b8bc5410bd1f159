"""``Engine``: many conversations on one model, each with the answer it would have alone."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from hd_edge.backend.positions import within
from hd_edge.backend.ranges import as_path, expect
from hd_edge.engine import endings
from hd_edge.errors import ClosedError, ConfigError
from hd_edge.model.cache_memory import trained_context
from hd_edge.model.gguf import read_header
from hd_edge.stats import GenerationStats

from .fair_queue import FairQueue
from .handle import Handle
from .loop import ENDED, Loop
from .planner import SharedPlanner
from .prefixes import SlotState
from .seat import Seat
from .shared_guard import SharedGuard
from .shared_llama import SharedLlama
from .sizes import LEAVES, Sizes
from .slots import Slot, Slots

if TYPE_CHECKING:
    from os import PathLike

    from typing_extensions import Self


class Engine:
    """One model, one KV cache, many conversations (continuous batching).

    Requests are answered side by side, up to ``parallel`` at a time, and join and leave between two forwards. Where
    ``engine.exact`` holds, tokens and logits of each are bit for bit those of the request alone.

    Args:
        model_path: As for ``Llama``.
        parallel: Requests that are answered at a time.
        n_ctx: Tokens of each conversation, prompt included; 0: the model's. Rounded up as in a ``Llama``, to 256.
        n_cells: Tokens of all conversations together; None: each has its ``n_ctx``. With fewer, a request waits until
            what it may come to need (prompt and ``max_tokens``) is free.
        queue: Requests that may wait.
        **settings: As for ``Llama``, but ``drafter`` and ``logits_all``.

    Raises:
        ConfigError: An argument is out of range, or the model cannot be shared (recurrent states).
        HDEdgeError: As ``Llama``.

    Attributes:
        model: For what needs no context, such as its tokenizer.
        seats: As many as ``parallel``: each takes one request at a time, as a ``Llama`` does. ``submit`` uses them.
        slots: The conversations in the KV cache.
    """

    def __init__(
        self,
        model_path: str | PathLike[str],
        *,
        parallel: int = 4,
        n_ctx: int = 4096,
        n_cells: int | None = None,
        queue: int = 64,
        **settings: Any,
    ) -> None:

        def trained() -> int:
            return trained_context(read_header(as_path("model_path", model_path)))

        sizes = Sizes.of(trained, parallel, n_ctx, n_cells, queue, settings)
        settings["swa_full"] = True  # a small cache of a window gives cells of one conversation to another
        self.model = SharedLlama(model_path, slots=sizes.slots, leaves=LEAVES, n_ctx=sizes.context, **settings)
        try:
            company, window = SharedGuard(), within(self.model._header, sizes.window)
            self.slots = [Slot(index, partial(SharedPlanner.of, self.model, company)) for index in range(sizes.slots)]
            self._cache = Slots(self.model.ctx, self.model.shared, self.slots, self.model._adapters)
            self._prefixes = SlotState(self.model, self._cache)
            self._cache.losing = self._prefixes.losing
            self._loop = Loop(
                *(self.model, self.model.shared, self._cache, self._prefixes, company),
                parallel=parallel,
                window=window,
                cells=sizes.cells,
            )
            self.seats = [Seat(self.model, self._loop, window) for _ in range(parallel)]
        except BaseException:
            self.model.close()
            raise
        self._free = list(self.seats)
        self._queue: FairQueue[Handle] = FairQueue(queue)
        self._lock = self._loop.lock  # a signal handler may close it in the middle of anything
        self._ending = threading.RLock()  # whoever frees it
        self._closed = self._freed = False
        self._pid = os.getpid()
        self.model.closing = weakref.WeakMethod(self.close)
        endings.begun(self)

    @property
    def exact(self) -> bool:
        """Whether each conversation has bit for bit the tokens and logits that it has alone."""
        return self.model.own_attention

    @property
    def total_stats(self) -> GenerationStats:
        """Counts of all requests. ``forwards`` counts each conversation's part; ``steps`` has the shared ones."""
        total = GenerationStats()
        for seat in self.seats:
            total.add(seat.total_stats)
        return total

    @property
    def steps(self) -> GenerationStats:
        """Counts of the forwards themselves: ``forwards``, ``rows``, ``forward_seconds``."""
        return self._loop.total

    @property
    def compactions(self) -> int:
        """How often the cells of the KV cache were moved together."""
        return self._cache.compactions

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def submit(
        self,
        prompt: str | list[int] | None = None,
        *,
        messages: list[dict[str, Any]] | None = None,
        user: str = "",
        stream: bool = False,
        **options: Any,
    ) -> Handle:
        """Asks for an answer, and returns at once.

        Args:
            prompt: Text or token ids to continue; or
            messages: a conversation to answer.
            user: Who asks: users take turns where requests wait.
            stream: The handle gives chunks.
            **options: As ``Llama.create_completion`` or ``create_chat_completion`` takes them.

        Raises:
            BusyError: So many wait already.
            ClosedError: The engine was closed.
            ConfigError: Neither prompt nor messages, or both.
        """
        if (prompt is None) == (messages is None):
            msg = "give either a prompt or messages, exactly one of them"
            raise ConfigError(msg)
        expect("user", user, isinstance(user, str), "a text")
        options["stream"] = stream

        def begin(seat: Seat) -> Any:
            if prompt is not None:
                return seat.create_completion(prompt, **options)
            return seat.create_chat_completion(messages=messages, **options)

        handle = Handle(begin, stream=stream)
        if self._pid != os.getpid():
            msg = f"this engine was made in process {self._pid}: its thread is not in the forked child {os.getpid()}; "
            raise ClosedError(msg + "make one there, or start the child with 'spawn'")
        seat: Seat | None = None
        try:
            with self._lock:
                if self._closed:
                    raise ClosedError(ENDED)
                if self._free:  # no call between the next two lines: a signal's handler that raises would lose a seat
                    seat = self._free[-1]
                    del self._free[-1]
                else:
                    self._queue.push(handle, user)
            if seat is not None:
                handle.run(seat, self._leave)
            else:
                handle.on_cancel(partial(self._drop, handle))
                self._tell_late(handle)
        except BaseException:  # nobody will have the handle
            handle.cancel()
            self._drop(handle)
            if seat is not None and not handle.begun:
                self._leave(seat)
            raise
        return handle

    def _tell_late(self, handle: Handle) -> None:
        """A signal's handler may have closed it while this thread had the lock."""
        if self._closed:
            self._drop(handle)
            handle.finish(ClosedError(ENDED))

    def _drop(self, handle: Handle) -> None:
        with self._lock:
            self._queue.remove(handle)

    def _leave(self, seat: Seat) -> None:
        """A seat is free: whose turn is it?"""
        while True:
            with self._lock:
                if self._closed or not len(self._queue):
                    self._free.append(seat)
                    return
                handle = self._queue.pop()
            try:
                handle.run(seat, self._leave)
            except (RuntimeError, MemoryError) as error:
                handle.finish(error)
            else:
                return

    def close(self) -> None:
        """Ends all requests after the forward under way, and frees the model; may be called twice, from any thread.

        Within a callback (a stopping criterion, a logits processor, ``on_prefill``), or a signal's handler that has
        interrupted a call of the engine, it returns at once, and the model is freed when nothing uses it any more.
        """
        if self._freed or self._pid != os.getpid():  # what a fork copied is the parent's, locks that were held too
            return
        self._stop()
        lives = self.model._life, *(seat._life for seat in self.seats)
        if self._loop.awaits_caller or any(life.mine for life in lives):
            threading.Thread(target=self._free_all, name="hd_edge-close", daemon=True).start()
        else:
            self._free_all()

    def _stop(self) -> None:
        """Nothing begins any more; what waits is told."""
        with self._lock:
            self._closed = True
        while (handle := self._queue.first()) is not None:  # waits until it is told: a signal's handler may raise
            handle.finish(ClosedError(ENDED))
            self._drop(handle)
        self._loop.stop()

    def _free_all(self) -> None:
        with self._ending:
            if not self._freed:
                self._loop.join()
                for seat in self.seats:
                    seat.close()
                self._save()
                self.model.closing = None
                self.model.close()
                self._freed = True

    def _save(self) -> None:
        with suppress(ClosedError), self.model._life.operation(ends=False, uses=False):
            self._prefixes.close()

    def end_with_interpreter(self, wait: float) -> None:
        """Ends its thread while the interpreter is whole; seats and model end after it."""
        if self._freed or self._pid != os.getpid():
            return
        self._stop()
        self.model._life.cancel()
        if not self._loop.mine:
            self._loop.gone(wait)
        if not self._loop.runs:
            self._save()
        self._freed = True

    def after_fork(self) -> None:
        """Nothing: ``submit`` and ``close`` know whose it is."""

    def __reduce__(self) -> NoReturn:
        msg = "an Engine is a thread over a context of its own, no value to be copied or pickled: make another one"
        raise ConfigError(msg)

    def __del__(self) -> None:
        if hasattr(self, "_pid"):  # else it was never made
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
