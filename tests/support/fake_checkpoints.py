"""A recurrent memory: a hash of all tokens so far, which knows no earlier one, and conversations over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fake_state import ROOT, Conversation, rows_of

from hd_edge.prefix.disk import Disk
from hd_edge.prefix.memory import MemoryPieces
from hd_edge.prefix.price import Price
from hd_edge.prefix.states import StateCache

SIZE = 4096  # bytes of a whole state
BATCH, CLOSE = 128, 16


class FakeCheckpoints:
    """As ``hd_edge.prefix.checkpoints.Checkpoints``; ``state`` and ``held`` are the memory."""

    def __init__(self):
        self.state, self.held = b"", 0
        self.known = {}

    @property
    def positions(self):
        return tuple(sorted(self.known))

    def note(self, tokens):
        if tokens and tokens == self.held:
            self.known[tokens] = self.state

    def cut(self, tokens):
        self.known = {at: state for at, state in self.known.items() if at <= tokens}

    def whole(self, tokens):
        return bytearray(self.known[tokens] * (SIZE // len(self.known[tokens])))

    def restore_whole(self, blob, tokens):
        self.state, self.held = bytes(blob[:16]), tokens
        return bytes(blob) == self.state * (SIZE // 16)


class StateConversation(Conversation):
    """What ``Llama`` does around a ``StateCache``."""

    def __init__(self, folder: Path | None = None, memory=1 << 20, budget=None):
        super().__init__(None)
        self.state = FakeCheckpoints()
        disk = Disk(folder, ROOT, budget, whole=True) if folder is not None else None
        about = (self.state, ROOT, "fake", MemoryPieces(memory, whole=True), disk)
        price = Price(compute=10.0, least_seconds=0.0)  # computing is dear
        self.cache = StateCache(*about, price, turn=self.turn, live=lambda: np.array(self.live, dtype=np.intc))

    def _answer(self, prompt, reply):
        self.cache.enter()
        try:
            keep = 0
            while keep < min(len(self.live), len(prompt) - 1) and self.live[keep] == prompt[keep]:
                keep += 1
            found = self.cache.find(prompt)
            if keep < len(self.live):
                self.cache.saver.take(np.array(self.live, dtype=np.intc))
                keep = max((at for at in self.state.positions if at <= keep), default=0)
                self.state.state, self.state.held = self.state.known.get(keep, b""), keep
            self.state.cut(keep)
            keep = self.cache.resume(found, keep)
            rows = rows_of([*prompt, *reply])
            assert keep == 0 or self.state.state == rows[keep - 1], "a restored state differs from a computed one"
            ends = {*range(keep + BATCH, len(prompt), BATCH), len(prompt) - CLOSE, len(prompt), len(rows)}
            for end in sorted(end for end in ends if end > keep):
                self.state.state, self.state.held = rows[end - 1], end
                if end < len(prompt):
                    self.state.note(end)
            self.live = [*prompt, *reply]
            self.computed += len(prompt) - keep
        finally:
            self.cache.leave()
        return keep
