"""Slots: which conversation lies where in the shared KV cache, and who has to go when it is full."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from hd_edge.backend.cell_order import go_on_behind, reuses_cells
from hd_edge.errors import DecodeError

if TYPE_CHECKING:
    from hd_edge import _native
    from hd_edge.backend.adapters import Adapters

    from .planner import SharedPlanner

MARGIN = 16  # forwards that should fit behind a compaction; fewer only where the cache is too small for them


class Slot:
    """A conversation in the cache, whether somebody goes on with it or not.

    Attributes:
        number: Of the native slot.
        tokens: What the cache holds of it, in order.
        busy: A request is answered in it.
        promised: Cells that this request may come to need, all in all.
        used: When it was given away last, a count.
        output: Tokens that were generated in it.
        changes: Of the context's adapters, when its first token was computed.
    """

    def __init__(self, number: int, make_planner: Callable[[], SharedPlanner]) -> None:
        self.number = number
        self.tokens: list[int] = []
        self.busy = False
        self.promised = self.used = self.output = self.changes = 0
        self._make_planner = make_planner
        self._planner: SharedPlanner | None = None

    @property
    def planner(self) -> SharedPlanner:
        """Its own: the context tier is the conversation's."""
        if self._planner is None:
            self._planner = self._make_planner()
        return self._planner

    def common(self, tokens: NDArray[np.int32]) -> int:
        """How many tokens a prompt begins with that this one begins with too."""
        n = min(len(self.tokens), len(tokens))
        differ = np.flatnonzero(np.array(self.tokens[:n], np.int32) != tokens[:n])
        return int(differ[0]) if len(differ) else n


class Slots:
    """All conversations of one context.

    Args:
        context: ``llama_context*``.
        verifier: Over its KV cache.
        slots: As many as the verifier has.
        adapters: Of the context.

    Attributes:
        losing: Called with a conversation before it is forgotten.
        compactions: How often the cells were moved together.
    """

    def __init__(
        self, context: Any, verifier: _native.SharedVerifier, slots: Sequence[Slot], adapters: Adapters
    ) -> None:
        self._context, self._verifier, self._adapters = context, verifier, adapters
        self.losing: Callable[[Slot], None] = lambda _: None
        self.all = list(slots)
        self._clock = 0
        self.compactions = 0

    @property
    def promised(self) -> int:
        """Cells that running requests may come to need."""
        return sum(slot.promised for slot in self.all if slot.busy)

    def admit(self, prompt: Sequence[int], cells: int, most: int) -> Slot | None:
        """A slot that holds as much of a prompt as can be had, and nothing else.

        The slot that has the longest common beginning goes on where that is most of it; else the beginning is shared
        with it, which costs nothing, and the slot that was used longest ago gives way.

        Args:
            prompt: Token ids; at least the last one is left to be computed.
            cells: What the request may come to need, prompt included.
            most: Cells that all running requests may be promised.

        Returns:
            None where all are busy, or the cells do not suffice.
        """
        free = [slot for slot in self.all if not slot.busy]
        if not free or (self.promised + cells > most and len(free) < len(self.all)):
            return None
        ids, now = np.array(prompt[:-1], np.int32), self._adapters.changes
        for slot in free:
            if slot.changes != now:
                self.cut(slot, 0)

        def common(slot: Slot) -> int:
            return slot.common(ids) if slot.changes == now else 0

        best = max(self.all, key=lambda slot: (common(slot), not slot.busy))
        keep = common(best)
        if not best.busy and 2 * keep >= len(best.tokens):
            chosen = best
            self.cut(chosen, keep)
        else:
            chosen = min((slot for slot in free if slot is not best), key=self._worth, default=free[0])
            if chosen is best:
                self.cut(chosen, keep)
            else:
                self._forget(chosen)
                if keep:
                    self._verifier.share(best.number, chosen.number, keep)
                    chosen.tokens = best.tokens[:keep]
        self._clock += 1
        chosen.busy, chosen.promised, chosen.used, chosen.changes = True, cells, self._clock, now
        return chosen

    @staticmethod
    def _worth(slot: Slot) -> tuple[bool, int]:
        return bool(slot.tokens), slot.used

    def cut(self, slot: Slot, n_past: int) -> None:
        """Forgets what lies at or behind a position."""
        self._verifier.cut(slot.number, n_past)
        del slot.tokens[n_past:]

    def _forget(self, slot: Slot) -> None:
        self.losing(slot)
        self.cut(slot, 0)

    def release(self, slot: Slot) -> None:
        """The request has ended; its conversation stays until the room is needed."""
        slot.busy, slot.promised = False, 0

    def make_room(self, rows: int) -> None:
        """Sees to it that a forward over so many rows fits: moves the cells together, forgets idle conversations.

        Raises:
            DecodeError: llama.cpp gave or took the cache's state otherwise than it should; all slots are empty.
        """
        verifier = self._verifier
        if verifier.used + rows <= verifier.n_cells:
            return
        idle = sorted((slot for slot in self.all if not slot.busy and slot.tokens), key=lambda slot: -slot.used)
        wanted = verifier.n_cells - max(MARGIN * rows, verifier.n_cells // 8)
        while idle and verifier.live > wanted:
            self._forget(idle.pop())
        self._compact()

    def _compact(self) -> None:
        """Through a copy of the whole state, which llama.cpp puts back without holes and in the same order."""
        verifier, context = self._verifier, self._context
        verifier.drop_trash()
        size = lib.llama_state_get_size(context)
        buffer = (ctypes.c_uint8 * size)()
        got = lib.llama_state_get_data(context, buffer, size)
        put = lib.llama_state_set_data(context, buffer, got)
        if not got or put != got:
            self._lost(f"llama.cpp took {put} of the {got} bytes of its own state")
        if not self._go_on_behind():
            self._lost("llama.cpp refused to put one of its own cells behind all others")
        verifier.compacted()
        self.compactions += 1

    def _lost(self, why: str) -> NoReturn:
        for slot in self.all:
            self.cut(slot, 0)
        self._verifier.drop_trash()
        self._verifier.compacted()  # the log begins anew
        msg = f"{why}: the conversations are forgotten"
        raise DecodeError(msg)

    def _go_on_behind(self) -> bool:
        """Has the log go on behind the cells that were put back; False if that cannot be."""
        verifier = self._verifier
        if not reuses_cells(self._context) or verifier.live == verifier.n_cells:  # no room: no forward either
            return True
        trunks = [verifier.sequence(slot.number) for slot in self.all]
        return go_on_behind(self._context, trunks, verifier.trash, verifier.scratch)
