"""A KV cache whose state of a token is a hash of all tokens up to it, so that any wrong restoring shows."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np

from hd_edge.engine.turn import Turn
from hd_edge.prefix.cache import PrefixCache
from hd_edge.prefix.disk import Disk
from hd_edge.prefix.memory import MemoryPieces
from hd_edge.prefix.pieces import PIECE
from hd_edge.prefix.price import Price

ROOT = hashlib.sha256(b"the model").digest()
ROW = 16  # bytes of state of a token
MAGIC = 0xAF143CD8
PIECES = -(-900 // PIECE)
PROMPT = np.random.default_rng(5).integers(0, 1000, 900).tolist()


def rows_of(tokens):
    """The state that computing these tokens gives."""
    out, h = [], hashlib.sha256()
    for token in tokens:
        h.update(struct.pack("<i", token))
        out.append(h.digest()[:ROW])
    return out


def blob_of(rows, start):
    """In llama.cpp's layout: one layer, K and V of half a row each."""
    n = len(rows)
    out = struct.pack("<IiII", MAGIC, 1, 1, n)
    for i in range(n):
        out += struct.pack("<iIi", start + i, 1, 1)
    out += struct.pack("<II", 0, 1)
    half = ROW // 2
    for part in (slice(0, half), slice(half, ROW)):
        out += struct.pack("<iQ", 1, half) + b"".join(row[part] for row in rows)
    return bytearray(out)


class FakeState:
    """``hd_edge.prefix.saver.State`` over a list of rows."""

    def __init__(self):
        self.rows = []
        self.saves = 0

    def save(self, start, stop):
        self.saves += 1
        return blob_of(self.rows[start:stop], start)

    def restore(self, blob, start, stop):
        assert len(self.rows) == start
        n = (len(blob) - 48) // (12 + ROW)
        half = ROW // 2
        data = bytes(blob)
        k = data[16 + 12 * n + 8 + 12 :][: n * half]
        v = data[48 + 12 * n + n * half :]
        self.rows += [k[half * i :][:half] + v[half * i :][:half] for i in range(stop - start)]
        return True

    def cut(self, stop):
        del self.rows[stop:]


class Conversation:
    """What ``Llama`` does around a ``PrefixCache``."""

    def __init__(self, folder: Path | None = None, memory=1 << 20, budget=None):
        self.state = FakeState()
        disk = Disk(folder, ROOT, budget) if folder is not None else None
        price = Price(compute=10.0, least_seconds=0.0)  # computing is dear
        self.live: list[int] = []
        self.computed = 0
        self.turn = Turn()
        about = (self.state, ROOT, "fake", MemoryPieces(memory), disk, price)
        self.cache = PrefixCache(*about, turn=self.turn, live=lambda: np.array(self.live, dtype=np.intc))

    def answer(self, prompt, reply=()):
        """Runs a prompt; returns how many of its tokens were known. The state is checked against a computed one."""
        return self.turn.step(lambda _: self._answer(prompt, reply), None)

    def _answer(self, prompt, reply):
        self.cache.enter()
        try:
            keep = 0
            while keep < min(len(self.live), len(prompt)) and self.live[keep] == prompt[keep]:
                keep += 1
            keep = self.cache.fetch(np.array(self.live, dtype=np.intc), prompt, keep)
            del self.state.rows[keep:]
            want = rows_of([*prompt, *reply])
            assert self.state.rows == want[:keep], "a restored prefix differs from a computed one"
            self.state.rows += want[keep:]
            self.live = [*prompt, *reply]
            self.computed += len(prompt) - keep
        finally:
            self.cache.leave()
        return keep

    def close(self):
        self.turn.last(lambda: self.cache.close(np.array(self.live, dtype=np.intc)), None)


def put_back(files):
    """Files as they were."""
    for path, content in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def again(folder, prompt=PROMPT, kind=Conversation, **settings):
    """How many tokens of a prompt the folder still gives; the state is checked on the way."""
    talk = kind(folder, **settings)
    known = talk.answer(prompt)
    talk.close()
    return known
