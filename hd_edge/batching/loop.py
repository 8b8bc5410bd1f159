"""Loop: the thread that computes. One forward after the other over whatever the conversations need next."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from math import inf
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING

import numpy as np

from hd_edge.draft.planner import Step
from hd_edge.errors import ClosedError, ContextFullError, DecodeError, HDEdgeError
from hd_edge.stats import GenerationStats

from .composer import Composer, slot_of
from .row_budget import RowBudget

if TYPE_CHECKING:
    from hd_edge import _native
    from hd_edge.tiers.memory import Hierarchy

    from .composer import Part
    from .prefixes import SlotState
    from .request import Request
    from .shared_guard import SharedGuard
    from .shared_llama import SharedLlama
    from .slots import Slots

ENDED = "the engine is closed: make a new one with Engine(...)"
CROWD = 16  # ended generations that wait to be learned, at most, while others run
DOZE = 0.01  # seconds between two looks at readers that are behind
POLL = 0.001  # seconds between two looks at the thread


class Loop:
    """Makes the tokens of all requests.

    Args:
        model: The context is this thread's alone.
        verifier: Over its KV cache.
        slots: The conversations in it.
        prefixes: What is kept of them beyond it.
        company: Whether drafting pays.
        parallel: Requests that run at a time.
        window: Tokens of one conversation, prompt included.
        cells: Cells that all running requests may be promised.

    Attributes:
        total: Counts of all forwards: ``forwards``, ``rows`` and ``forward_seconds``.
        running: Requests that have a slot.
        runs: Whether its thread computes, or may come to.
        lock: Held for moments, by whoever asks for something and by its thread.
    """

    def __init__(
        self,
        model: SharedLlama,
        verifier: _native.SharedVerifier,
        slots: Slots,
        prefixes: SlotState,
        company: SharedGuard,
        *,
        parallel: int,
        window: int,
        cells: int,
    ) -> None:
        self._model, self._verifier, self._slots, self._prefixes = model, verifier, slots, prefixes
        self._company = company
        self._parallel, self._window, self._cells = parallel, window, cells
        self._memory: Hierarchy | None = model._hierarchy
        self._learning = 0  # generations that ended and are not learned yet
        self._planning = 0.0  # seconds before the forward under way
        self._pace = model._pace
        config = model._draft_config
        self._composer = Composer(verifier, window, config.max_rows if config.profile != "off" else 1)
        self.budget = RowBudget()
        self.total = GenerationStats()
        self.running: list[Request] = []
        self._waiting: deque[Request] = deque()
        self._closing = False
        self._ended: HDEdgeError = ClosedError(ENDED)  # what a later request is told
        self.runs = True
        self.lock = threading.RLock()
        self._wake = threading.Condition(self.lock)
        self._thread = threading.Thread(target=self._run, name="hd_edge-engine", daemon=True)
        self._thread.start()

    # -- for other threads ---------------------------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Generates it when there is room.

        Raises:
            ClosedError: There is nobody to do it.
            DecodeError: A machine that computes is gone.
        """
        with self._wake:
            if self._closing or not self._thread.is_alive():
                raise type(self._ended)(str(self._ended))
            self._waiting.append(request)
            self._wake.notify()

    def cancel(self, request: Request) -> None:
        """Ends it before the next forward."""
        with self._wake:
            request.cancelled = True
            self._wake.notify()

    @property
    def mine(self) -> bool:
        """Whether the caller is in its thread: code of the user, or of whatever the garbage collector ends there."""
        return threading.current_thread() is self._thread

    @property
    def awaits_caller(self) -> bool:
        """Whether to wait for its end would be to wait for oneself: in its thread, or in a handler within its lock."""
        return self.mine or self.lock._is_owned()  # type: ignore[attr-defined]  # as Condition asks

    def stop(self) -> None:
        """Ends all requests after the forward under way, and then the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def join(self, wait: float | None = None) -> None:
        """Waits until its thread computes no more, so many seconds at most; a signal's handler may do so within.

        ``Thread.join`` then waits for ever: the interrupted one holds the lock that tells.
        """
        until = inf if wait is None else monotonic() + wait
        while self.runs and monotonic() < until:
            sleep(POLL)

    def gone(self, wait: float) -> None:
        """Waits until its thread is no more, so many seconds at most; no signal's handler may come here."""
        self.join(wait)
        self._thread.join(wait)

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with suppress(ClosedError):  # the model was closed
                while self._arrived():
                    with self._model._life.operation(ends=False):
                        self._turn()
        except DecodeError as error:  # a machine that computes is gone
            self._ended = error
        except BaseException as error:
            self._ended = ClosedError(f"{ENDED}; a defect ended it, {error!r}").with_traceback(error.__traceback__)
        try:
            with self._wake:
                self._closing = True
                left = [*self.running, *self._waiting]
                self.running.clear()
                self._waiting.clear()
            for request in left:
                request.end(self._ended)
        finally:  # or whoever closes it would wait for ever
            self.runs = False

    def _arrived(self) -> bool:
        """Waits until there is something to do; False at the end."""
        with self._wake:
            while not self._closing and not self.running and not self._waiting:
                if not self._learning:
                    self._wake.wait()
                else:
                    break
            if self.running and all(request.rests for request in self.running) and not self._waiting:
                self._wake.wait(DOZE)
            return not self._closing

    def _turn(self) -> None:
        """Whatever is to be done between two moments at which somebody else may have the model."""
        for request in [one for one in self.running if one.cancelled]:
            self._end(request)
        if self._learning and (not self.running or self._learning >= CROWD) and self._memory is not None:
            self._memory.catch_up()
            self._learning = 0
        self._admit()
        started = perf_counter()
        ready = [one for one in list(self.running) if not one.made or (not one.rests and self._has_room(one))]
        self._company.begin()
        parts = self._composer.compose(ready, self.budget)
        self._planning = perf_counter() - started
        if not parts:
            return
        try:
            self._forward(parts)
        except DecodeError as error:
            for part in parts:
                self._end(part.request, error)

    def _admit(self) -> None:
        """Gives slots to those who wait, in their order."""
        while self._waiting:
            request = self._waiting[0]
            dropped = request.cancelled  # whoever cancels it from here on finds it running
            if not dropped:
                if len(self.running) >= self._parallel:
                    return
                cells = min(len(request.prompt) + request.limit, self._window)
                slot = self._slots.admit(request.prompt, cells, self._cells)
                if slot is None:
                    return
                if not self.running:
                    self._prefixes.begun()
                request.slot, request.begun, request.tokens = slot, perf_counter(), list(request.prompt)
                self._prefixes.fetch(slot, request.prompt)
                request.rows.slot = self._verifier.rows(slot.number)
                request.stats.cached_tokens = len(slot.tokens)
                slot.planner.follow(request.forced)
                self.running.append(request)
            with self._wake:
                self._waiting.popleft()
            if dropped:
                request.end()

    # -- one forward ---------------------------------------------------------------------------------------------

    def _has_room(self, request: Request) -> bool:
        """Whether its window takes another token; else it ends."""
        if len(slot_of(request).tokens) < self._window:
            return True
        self._end(request, ContextFullError(f"the context is full: {self._window} tokens; give a larger n_ctx"))
        return False

    def _forward(self, parts: list[Part]) -> None:
        """Computes the parts, draws, and keeps what was drawn."""
        verifier = self._verifier
        answering = [part.rows for part in parts if part.request.made]
        answers, count = sum(answering), len(answering)
        prompt = sum(part.rows for part in parts) - answers
        self._slots.make_room(answers + prompt)
        self._pace.before(verifier.used)
        for part in parts:
            verifier.add(slot_of(part.request).number, part.pending, part.tree, part.draws)
        started = perf_counter()
        if (code := verifier.decode()) != 0:
            msg = f"llama_decode returned {code} for {answers + prompt} rows, 0 is expected"
            raise DecodeError(msg)
        seconds = perf_counter() - started
        if answers:
            self._pace.after(1, verifier.used, seconds / self.budget.relative(answers, prompt))
        self.budget.observe(answers, seconds, prompt)
        self.total.forwards += 1
        self.total.rows += answers + prompt
        self.total.forward_seconds += seconds
        price, share = self.budget.price(count), self.budget.seconds(count) / max(count, 1)
        for part in parts:
            self._keep(part, seconds, price, share)
        self._company.end()

    def _keep(self, part: Part, seconds: float, price: float, share: float) -> None:
        """Draws along the tree, hands out, learns, and leaves the drawn path in the cache."""
        request, slot = part.request, slot_of(part.request)
        first = not request.made
        vocab = self._model._model.vocab
        path, drawn, over, error = request.draw(part.tree, vocab) if part.draws else ([0], [], False, None)
        if not first:
            request.stats.count_step(part.tree, path, seconds, self._planning)
            request.stats.seconds += seconds + self._planning
            step = Step(part.tree, path, drawn, seconds, self._planning, request.rows.slot)
            slot.planner.learn_shared(step, price, share)
        self._verifier.commit(slot.number, path)
        slot.tokens += part.pending + (part.tree.token[path[1:]].tolist() if len(path) > 1 else [])
        request.tokens += drawn
        request.drawn = []
        slot.output += len(drawn)
        if first:
            request.stats.prompt_seconds = perf_counter() - request.begun
            known = request.stats.cached_tokens
            if part.draws:
                self._prefixes.computed(len(request.prompt) - known, self.budget.pieces.token_seconds)
            request.tell(len(slot.tokens) - known, len(request.prompt) - known)
        if drawn:
            request.hand_out(None if first else part.tree, path[: len(drawn)], drawn)
        if first and drawn and not over:
            slot.planner.begin(np.array(request.tokens, np.int32), request.prediction)
        if over or error is not None:
            self._end(request, error)

    def _end(self, request: Request, error: BaseException | None = None) -> None:
        """Its slot keeps the conversation; what was said is learned later."""
        self.running.remove(request)
        try:
            slot = slot_of(request)
            self._slots.release(slot)
            self._prefixes.ended(slot, last=not self.running)
            if self._memory is not None and request.made:
                self._memory.learner = slot.planner
                self._memory.finished(*request.said(), request.stats)
                self._learning += 1
        finally:  # whatever becomes of the engine then, its answer is made
            request.end(error)
