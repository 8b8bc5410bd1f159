"""SlotState: the state of whichever conversation is looked at, for the prefix cache that all of them share."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hd_edge.backend.kv_state import KVState
from hd_edge.engine.prefill import LEAST_MEASURED
from hd_edge.prefix.cache import PrefixCache
from hd_edge.prefix.pieces import PIECE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hd_edge.prefix.saver import Blob

    from .shared_llama import SharedLlama
    from .slots import Slot, Slots


class SlotState:
    """As ``prefix.saver.State``. The loop and the saver look at one conversation each, never in the same turn.

    Args:
        model: Its prefix cache is made to use this.
        slots: The conversations.
    """

    def __init__(self, model: SharedLlama, slots: Slots) -> None:
        self._verifier, self._slots, self._adapters = model.shared, slots, model._adapters
        self._state = KVState(model.ctx, self._verifier.scratch)
        self._slot: Slot | None = None
        self._ended: deque[Slot] = deque()  # conversations that went on since they were saved, the earliest first
        self.cache = model._prefixes if isinstance(model._prefixes, PrefixCache) else None
        if self.cache is not None:
            self.cache.share(self, self.live, self.advance)

    @property
    def _usable(self) -> PrefixCache | None:
        """None without a cache, and once an adapter has made another model of the one that it is for."""
        return None if self._adapters.changes else self.cache

    # -- for the loop --------------------------------------------------------------------------------------------

    def fetch(self, slot: Slot, prompt: Sequence[int]) -> None:
        """Puts what is stored of a prompt into its slot, if that is more than the slot holds, and pays."""
        cache = self._usable
        if cache is None:
            return
        self._look_at(slot)
        known = len(slot.tokens)
        got = cache.fetch(slot.tokens, prompt, known)
        slot.tokens = list(prompt[:got])

    def computed(self, tokens: int, each: float) -> None:
        """A prompt's tokens were computed, of which each took so many seconds."""
        cache = self._usable
        if cache is not None and tokens >= LEAST_MEASURED:
            cache.computed(tokens, tokens * each)

    def losing(self, slot: Slot) -> None:
        """A conversation is about to be forgotten: keeps its state, if that pays."""
        cache = self._usable
        if cache is not None and slot.tokens:
            self._look_at(slot)
            cache.saver.take(slot.tokens)

    def begun(self) -> None:
        """Requests run: nothing is saved."""
        if self.cache is not None:
            self.cache.enter()

    def ended(self, slot: Slot, *, last: bool) -> None:
        """A request has ended; ``last``: no other runs."""
        if self.cache is None:
            return
        if slot in self._ended:
            self._ended.remove(slot)
        self._ended.append(slot)
        if last:
            self.cache.leave()

    def close(self) -> None:
        """Saves what was not saved yet; in a turn of the model."""
        if self.cache is not None:
            self.cache.close(self.live())

    # -- for the saver -------------------------------------------------------------------------------------------

    def live(self) -> list[int]:
        """The tokens of the conversation that is to be saved next."""
        if not self._ended or self._usable is None:
            return []
        self._look_at(self._ended[0])
        return list(self._ended[0].tokens)

    def advance(self) -> bool:
        """It is saved; False if no other is left."""
        if self._ended:
            self._ended.popleft()
        return bool(self._ended)

    def save(self, start: int, stop: int) -> bytearray | None:
        """The state of these positions of the conversation that is looked at, or None."""
        return self._state.save(start, stop)

    def restore(self, blob: Blob, start: int, stop: int) -> bool:
        """Puts saved positions behind its end at ``start``; False if that cannot be."""
        slot = self._looked_at
        self._slots.make_room(PIECE)  # it goes in whole before its end is taken away
        self._look_at(slot)  # others may have been looked at because they had to go
        if not self._state.restore(blob, start, stop):
            return False
        self._verifier.restored(slot.number, stop - start)
        return True

    def cut(self, stop: int) -> None:
        """Ends it at a position."""
        self._slots.cut(self._looked_at, stop)

    @property
    def _looked_at(self) -> Slot:
        if self._slot is None:
            msg = "no conversation is looked at"
            raise RuntimeError(msg)
        return self._slot

    def _look_at(self, slot: Slot) -> None:
        self._slot, self._state.trunk = slot, self._verifier.sequence(slot.number)
