"""ModelTier: n-grams of this target's own outputs, learned from every finished generation.

Counts are per answer, as in Hierarchy Drafting (arXiv 2502.05609): what the model repeats within one answer is the
context tier's business, what it says in many answers is worth keeping.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hd_edge import _native
from hd_edge.config import ANSWER_WAIT, CLOSE_WAIT
from hd_edge.store.upkeep import prune

from .tier import StoredTier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hd_edge.store.file import StoreFile
    from hd_edge.store.safety import SafeStore
    from hd_edge.store.store import Store

BUDGET = 48 << 20
PRELOADED = 4 << 20  # bytes of a file that is read as a whole when it is opened: 0.2 s at most
PRELOADED_MEMORY = 40 << 20
MAX_PENDING = 32  # answers kept for the next flush while the file cannot be written
LONGEST_KEY = 8  # tokens of the prompt that an n-gram of the answer may begin with, and some


@dataclass
class Answer:
    """A finished answer.

    Attributes:
        tokens: The end of its prompt, and the answer; int32.
        given: How many of them are the prompt's.
        records: What it teaches; None: not counted yet.
    """

    tokens: NDArray[np.int32]
    given: int
    records: dict[int, bytes] | None = None


@dataclass
class Batch:
    """What one transaction writes.

    Whether it was written is asked of the file, so that a signal's handler may raise anywhere: nothing is moved from
    here to there, and nothing is to be forgotten in time.
    """

    answers: deque[Answer] = field(default_factory=lambda: deque(maxlen=MAX_PENDING))
    counts: Counter[str] = field(default_factory=Counter)
    taken: Any = None  # what the owner has put in last, and what he knew then
    target: tuple[StoreFile, int] | None = None  # where it is being written, and its commits before
    process: int = field(default_factory=os.getpid)

    @property
    def written(self) -> bool:
        """True once it is in the file."""
        return self.target is not None and self.target[0].commits > self.target[1]


class ModelTier(StoredTier):
    """The tier that learns.

    Args:
        safe: The store of this model.
        budget: Bytes of decoded records to keep in memory.
    """

    def __init__(self, safe: SafeStore, budget: int = BUDGET) -> None:
        self._counter: _native.AnswerCounter | None = None
        self._batch = Batch()
        super().__init__(safe, budget, PRELOADED, PRELOADED_MEMORY)

    @property
    def _pending(self) -> Batch:
        """What is to be written, by this process: what was in memory when it was forked is its parent's."""
        if self._batch.process != os.getpid() or self._batch.written:
            self._batch = Batch(taken=self._batch.taken)
        return self._batch

    @property
    def taken(self) -> Any:
        """What was said when ``take_in()`` was called last."""
        return self._batch.taken

    def take_in(self, taken: Any, answers: Sequence[tuple[NDArray[np.int32], int]], counts: Mapping[str, int]) -> None:
        """Takes in answers and counters, all of it in one assignment, or nothing.

        Args:
            taken: For whoever asks later whether that has happened.
            answers: As for ``learn()``.
            counts: As for ``count()``.
        """
        now = self._pending
        new = [made for one in answers if (made := self._answer(*one)) is not None]
        counted = now.counts + Counter(counts) if self.safe.learning else now.counts
        self._batch = replace(now, answers=deque([*now.answers, *new], MAX_PENDING), counts=counted, taken=taken)

    def learn(self, tokens: NDArray[np.int32], prompt_len: int) -> None:
        """Takes in a finished answer; ``flush()`` counts and writes it.

        Args:
            tokens: The whole conversation.
            prompt_len: How many of its tokens were given. Only n-grams that end in a generated token are learned.
        """
        if (made := self._answer(tokens, prompt_len)) is not None:
            self._pending.answers.append(made)

    def _answer(self, tokens: NDArray[np.int32], prompt_len: int) -> Answer | None:
        if not self.safe.learning or len(tokens) <= prompt_len:
            return None
        ours = np.array(tokens[max(prompt_len - LONGEST_KEY, 0) :], dtype=np.int32)
        return Answer(ours, min(prompt_len, LONGEST_KEY))

    def count(self, name: str, amount: int) -> None:
        """Adds to a named counter that ``hd-edge db info`` shows; written with the next flush."""
        if amount and self.safe.learning:
            self._pending.counts[name] += amount

    def flush(self, wait: float = ANSWER_WAIT) -> None:
        """Writes what was learned, in one transaction. Call between generations.

        Args:
            wait: Seconds to wait for another process; what is not written by then waits for the next flush.
        """
        self.safe.resume()
        if (self._pending.answers or self._pending.counts) and self.safe.write(self._write, wait=wait):
            self.safe.write(_prune_if_large)  # where others hold the file, the next flush does it

    def _write(self, store: Store) -> None:
        batch = self._pending
        answers = list(batch.answers)
        records = dict(self._records(answers[0])) if answers else {}
        for more in answers[1:]:
            for key, record in self._records(more).items():
                known = records.get(key)
                records[key] = record if known is None else self._sum(key, known, record)
        try:
            batch.target = (store.file, store.file.commits)
            written = store.add(records, answers=len(answers), counters=batch.counts)
        finally:
            if not batch.written:
                batch.target = None  # whatever that file commits next is something else
        for key, record in written.items():
            if self.cache.known(key):
                self.cache.put(key, record)

    def _records(self, answer: Answer) -> dict[int, bytes]:
        if answer.records is None:
            if self._counter is None:
                self._counter = _native.AnswerCounter(self.cache.n_vocab)
            answer.records = dict(self._counter.records(answer.tokens, answer.given))
        return answer.records

    def _sum(self, key: int, first: bytes, second: bytes) -> bytes:
        return _native.merge_records(key, first, second, self.cache.n_vocab)[1]

    def close(self, wait: float = CLOSE_WAIT) -> None:
        """Flushes and closes."""
        self.flush(wait)
        super().close()


def _prune_if_large(store: Store) -> None:
    if store.file.size() > store.cap:
        prune(store)
