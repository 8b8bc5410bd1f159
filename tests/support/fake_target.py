"""A target without weights: logits are a hash of the visible tokens, the KV cache follows llama.cpp'"'"'s rules."""

from __future__ import annotations

import ctypes
import random
import zlib
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from hd_edge import _native

N_VOCAB = 11


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


def logits_of(prefix: Sequence[int]) -> np.ndarray:
    """Logits after a prefix; the same for the same tokens."""
    rng = random.Random(zlib.crc32(np.array(prefix, dtype=np.int32).tobytes()))
    return np.array([rng.random() for _ in range(N_VOCAB)], dtype=np.float32)


def plain_greedy(prompt: Sequence[int], n: int) -> list[int]:
    """What plain decoding says."""
    text = list(prompt)
    for _ in range(n):
        text.append(int(np.argmax(logits_of(text))))
    return text[len(prompt) :]


class FakeTarget:
    """Stands for ``llama_cpp.Llama`` in Decoder, and for libllama behind the native verifier."""

    def __init__(self, n_ctx: int = 200, n_batch: int = 16, logits_all: bool = False) -> None:
        self.cells: list[tuple[int, int, set[int]]] = []  # (position, token, sequences)
        self.rows: np.ndarray | list[np.ndarray] = []
        self.codes: list[int] = []  # answers of the next decodes
        self.forwards = 0
        self.n_tokens = 0
        self.n_batch = n_batch
        self.input_ids = np.zeros(n_ctx, dtype=np.intc)
        self.scores = np.zeros((n_ctx if logits_all else n_batch, N_VOCAB), dtype=np.single)
        self._n_ctx, self._n_vocab, self._logits_all, self._requires_eval = n_ctx, N_VOCAB, logits_all, True
        integer, pointer = ctypes.c_int32, ctypes.c_void_p
        self._keep = {
            "llama_decode": ctypes.CFUNCTYPE(integer, pointer, Batch)(self._decode),
            "llama_get_logits_ith": ctypes.CFUNCTYPE(pointer, pointer, integer)(self._row),
            "llama_memory_seq_rm": ctypes.CFUNCTYPE(ctypes.c_bool, pointer, integer, integer, integer)(self._rm),
            "llama_memory_seq_cp": ctypes.CFUNCTYPE(None, pointer, integer, integer, integer, integer)(self._cp),
            "llama_memory_seq_keep": ctypes.CFUNCTYPE(None, pointer, integer)(self._only),
            "llama_memory_seq_pos_min": ctypes.CFUNCTYPE(integer, pointer, integer)(lambda *_: 0),
            "llama_memory_seq_pos_max": ctypes.CFUNCTYPE(integer, pointer, integer)(lambda _, s: self.end(s)),
            "llama_set_abort_callback": ctypes.CFUNCTYPE(None, pointer, pointer, pointer)(lambda *_: None),
        }
        self.api = _native.LlamaApi({k: ctypes.cast(f, pointer).value or 0 for k, f in self._keep.items()})

    def verifier(self, max_rows: int = 16, max_sequences: int = 6) -> _native.Verifier:
        return _native.Verifier(
            self.api,
            1,
            1,
            n_vocab=N_VOCAB,
            n_ctx=self._n_ctx,
            max_rows=max_rows,
            max_sequences=max_sequences,
        )

    def n_ctx(self) -> int:
        return self._n_ctx

    def settling(self) -> nullcontext:
        return nullcontext()

    def end(self, sequence: int) -> int:
        return max((pos for pos, _, seqs in self.cells if sequence in seqs), default=-1)

    def eval(self, tokens: Sequence[int]) -> None:
        self._rm(None, 0, self.n_tokens, -1)
        for token in tokens:
            self.cells.append((self.n_tokens, token, {0}))
            self.input_ids[self.n_tokens] = token
            self.n_tokens += 1
            if self._logits_all:
                self.scores[self.n_tokens - 1] = logits_of(self.input_ids[: self.n_tokens])
        self.rows = [logits_of(self.input_ids[: self.n_tokens])]

    def _decode(self, _: object, batch: Batch) -> int:
        if self.codes and (code := self.codes.pop(0)):
            return code
        self.forwards += 1
        rows = []
        for i in range(batch.n_tokens):
            seqs = {batch.seq_id[i][k] for k in range(batch.n_seq_id[i])}
            self.cells.append((batch.pos[i], batch.token[i], seqs))
            mine = batch.seq_id[i][0]
            seen = sorted((pos, token) for pos, token, s in self.cells if mine in s and pos <= batch.pos[i])
            if [pos for pos, _ in seen] != list(range(batch.pos[i] + 1)):
                return -1
            rows.append(logits_of([token for _, token in seen]))
        self.rows = np.stack(rows)  # contiguous, as in llama.cpp
        return 0

    def _row(self, _: object, row: int) -> int:
        return int(self.rows[row].ctypes.data)

    def _rm(self, _: object, sequence: int, start: int, stop: int) -> bool:
        for pos, _token, seqs in self.cells:
            if pos >= start and (stop < 0 or pos < stop):
                seqs.clear() if sequence < 0 else seqs.discard(sequence)
        self.cells = [cell for cell in self.cells if cell[2]]
        return True

    def _only(self, _: object, sequence: int) -> None:
        self.cells = [(pos, token, {sequence}) for pos, token, seqs in self.cells if sequence in seqs]

    def _cp(self, _: object, source: int, target: int, start: int, stop: int) -> None:
        for pos, _token, seqs in self.cells:
            if source in seqs and start <= pos < stop:
                seqs.add(target)


class FakeFirst:
    """Draws from the last row of the prefill."""

    def __init__(self, target: FakeTarget) -> None:
        self.target = target

    def sample_row(self, row: int) -> int:
        return int(np.argmax(self.target.rows[row]))

    def last_row(self, n_vocab: int) -> np.ndarray:
        return self.target.rows[-1]
