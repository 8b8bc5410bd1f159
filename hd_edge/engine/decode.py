"""The draft-verify loop. Token ids only: it knows no text and no SQL.

One step reads: plan a tree, verify it in one forward, walk the path the target's own sampler draws, commit it, learn.
Tokens are drawn one by one as the consumer asks for them, so a generator closed at any moment leaves the KV cache, the
sampler and the tiers as if the tokens not yielded had never been.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hd_edge import _native
from hd_edge.draft.planner import Planner
from hd_edge.errors import ContextFullError, DecodeError, TokenError
from hd_edge.stats import TIER_NAMES, GenerationStats

from .pace import Pace
from .sampling import ChainSampler, Sampler

NO_SLOT, ABORTED = 1, 2  # answers of llama_decode: no room for the batch in the KV cache; cancel() was called


class Target(Protocol):
    """The state of ``llama_cpp.Llama`` that a generation reads and keeps right."""

    n_tokens: int  # tokens in the KV cache, which are input_ids[:n_tokens]
    input_ids: NDArray[np.intc]
    scores: NDArray[np.single]
    n_batch: int
    _n_vocab: int
    _logits_all: bool
    _requires_eval: bool

    def eval(self, tokens: Sequence[int]) -> None:
        """Plain forwards over tokens behind the KV cache's end."""
        ...

    def n_ctx(self) -> int:
        """Size of the context window."""
        ...


StopTest = Callable[[NDArray[np.intc], NDArray[np.single]], bool]


class Decoder:
    """One generation.

    Args:
        target: Its KV cache holds the conversation, and the last forward gave the logits of its last token.
        verifier: The native verifier of that context.
        planner: Proposes trees.
        first: Draws from the last row of the prefill.
        sampler: Draws from the rows of verified trees.
        limits: Most rows and most leaves of one forward.
        stop: ``stopping_criteria`` of ``llama_cpp``, called with the prefix and the logits of its last token.
        stats: Counts go here.
        on_step: Called after each step with tree, accepted path and emitted tokens.
        expected: Text that the answer is predicted to repeat.
        pace: Chooses the threads of each forward; None: they stay as they are.
    """

    def __init__(
        self,
        target: Target,
        verifier: _native.Verifier,
        planner: Planner,
        first: ChainSampler,
        sampler: Sampler,
        limits: tuple[int, int],
        stop: StopTest | None,
        stats: GenerationStats,
        on_step: Callable[[_native.DraftTree, list[int], list[int]], None] | None = None,
        expected: NDArray[np.int32] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._target = target
        self._verifier = verifier
        self._planner = planner
        self._first = first
        self._sampler = sampler
        self._max_rows, self._max_leaves = limits
        self._stop = stop
        self._stats = stats
        self._on_step = on_step
        self._expected = expected
        self._pace = pace
        self._tree: _native.DraftTree | None = None
        self._path: list[int] = []  # nodes of self._tree accepted so far, root first
        self._emitted: list[int] = []  # tokens drawn at them
        self._refeed: list[int] = []  # accepted, but not in the KV cache (ordered mode)
        self._prompt_len = target.n_tokens
        self._open: int | None = None  # token yielded last, not yet in input_ids
        self._seconds = 0.0  # of the last forward
        self._settled = False
        self.tier = TIER_NAMES[0]  # of the token yielded last

    def run(self) -> Generator[int, Sequence[int] | None, None]:
        """Yields token ids until closed, stopped, cancelled, or the context is full.

        A consumer may ``send()`` token ids: they are appended behind the token just yielded, as in ``llama_cpp``.

        Raises:
            ContextFullError: No room for another token.
            DecodeError: The forward failed.
        """
        target, verifier, planner = self._target, self._verifier, self._planner
        started: float | None = perf_counter()  # None while the consumer has the token
        try:
            verifier.begin(target.n_tokens)
            token = self._draw(None)
            while token is not None:
                self._stats.tokens += 1
                self._open = token
                self._clock(started)
                started = None
                sent = yield token
                if self._settled:
                    msg = "this generation ended when another generation began on the same object: use one at a time"
                    raise DecodeError(msg)
                started = perf_counter()
                self._open = None
                if sent is not None:
                    token = self._append([token, *sent])
                    continue
                if self._tree is None:
                    self._set_token(token)
                    planner.begin(np.array(target.input_ids[: target.n_tokens + 1], dtype=np.int32))
                    if self._expected is not None:
                        planner.reference(self._expected)
                elif (child := self._tree.child(self._path[-1], token)) >= 0:
                    self._descend(child, token)
                    token = self._draw(child)
                    continue
                else:
                    self._set_token(token)
                    self._end_step()
                token = self._draw(0) if self._step(token) else None
        finally:
            self.settle()
            self._clock(started)

    def _clock(self, started: float | None) -> None:
        if started is not None:
            self._stats.seconds += perf_counter() - started

    def settle(self) -> None:
        """Leaves KV cache, target and tiers as plain decoding leaves them after the tokens yielded so far."""
        if self._settled:
            return
        self._settled = True
        target, verifier = self._target, self._verifier
        want = target.n_tokens
        if self._tree is not None:
            self._end_step()
        elif verifier.rows:
            verifier.rollback()
        verifier.release(min(want, verifier.n_past))
        target.n_tokens = verifier.n_past
        target._requires_eval = True
        spoken = np.array(target.input_ids[:want], dtype=np.int32)
        if self._open is not None:
            spoken = np.append(spoken, np.int32(self._open))
        self._planner.finish(spoken, self._prompt_len)
        if target.n_tokens < want and not verifier.cancelled:
            target.eval([int(t) for t in target.input_ids[target.n_tokens : want]])

    # -- one step ------------------------------------------------------------------------------------------------

    def _step(self, root: int) -> bool:
        """Plans and verifies one tree; False if the generation was cancelled."""
        target, verifier, stats = self._target, self._verifier, self._stats
        if verifier.cancelled:
            return False
        room = target.n_ctx() - target.n_tokens
        if room < 1:
            msg = f"the context is full: {target.n_tokens} tokens of {target.n_ctx()}; load with a larger n_ctx"
            raise ContextFullError(msg)
        if len(self._refeed) >= self._max_rows:
            self._feed([])
        pending = [*self._refeed, root]
        max_rows = min(self._max_rows - len(pending) + 1, room)
        self._planner.prepare(max_rows)
        planned = perf_counter()
        tree = self._planner.plan(max_rows, self._max_leaves)
        if self._pace is not None:
            self._pace.before(target.n_tokens + len(self._refeed) + len(tree))
        decoding = perf_counter()
        stats.draft_seconds += decoding - planned
        tokens = np.array(pending, dtype=np.int32)
        code = verifier.decode(tokens, tree)
        if code == NO_SLOT and len(tree) > 1:  # the root alone needs one cell
            tree = _native.DraftTree()
            tree.add(root, -1)
            code = verifier.decode(tokens, tree)
        if code != 0:
            if code == ABORTED:
                return False
            msg = (
                f"llama_decode returned {code} for {len(tree)} rows, 0 is expected; the KV cache is as before, with "
                f"{verifier.n_past} of {target.n_ctx()} tokens"
            )
            raise DecodeError(msg)
        self._seconds = perf_counter() - decoding
        if self._pace is not None:
            self._pace.after(len(pending) + len(tree) - 1, target.n_tokens, self._seconds)
        self._tree, self._path, self._emitted, self._refeed = tree, [0], [], []
        target.n_tokens += 1
        stats.forwards += 1
        stats.forward_seconds += self._seconds
        stats.rows += len(tree)
        if len(tree) > 1:
            stats.drafts += 1
            for tier, count in enumerate(np.bincount(tree.tier[1:], minlength=len(TIER_NAMES)).tolist()):
                if count:
                    stats.drafted[TIER_NAMES[tier]] += count
        return True

    def _draw(self, node: int | None) -> int | None:
        """The target's token at a node (None: the last row of the prefill); None if the stopping criteria say so."""
        target = self._target
        row = None
        if target._logits_all and node is not None:
            row = target.scores[target.n_tokens - 1]
            row[:] = self._verifier.logits(node, target._n_vocab)
        token = self._first.sample_row(-1) if node is None else self._sampler.sample(node)
        if self._stop is not None:
            if row is None:
                row = (
                    self._first.last_row(target._n_vocab)
                    if node is None
                    else self._verifier.logits(node, target._n_vocab)
                )
            if self._stop(target.input_ids[: target.n_tokens], row):
                return None
        if node is None:
            self.tier = TIER_NAMES[0]
        else:
            self._emitted.append(token)
            child = self._tree.child(node, token) if self._tree is not None else -1
            self.tier = TIER_NAMES[self._tree.tier_of(child) if self._tree is not None and child >= 0 else 0]
        return token

    def _descend(self, child: int, token: int) -> None:
        """The drawn token was drafted: its row is verified already."""
        self._set_token(token)
        self._path.append(child)
        self._target.n_tokens += 1

    def _end_step(self) -> None:
        """Commits the path and lets the tiers learn."""
        tree, self._tree = self._tree, None
        if tree is None:
            return
        started = perf_counter()
        self._planner.learn(self._verifier, tree, self._path, self._emitted, self._seconds)
        self._stats.draft_seconds += perf_counter() - started
        if self._on_step is not None:
            self._on_step(tree, self._path, self._emitted)
        if len(self._path) > 1:
            self._stats.count_path([tree.tier_of(node) for node in self._path[1:]])
        kept = self._verifier.commit(np.array(self._path, dtype=np.int32))
        self._refeed = [int(t) for t in tree.token[self._path[kept:]]] if kept < len(self._path) else []

    # -- the conversation ----------------------------------------------------------------------------------------

    def _set_token(self, token: int) -> None:
        """Writes the token behind the KV cache's end; it counts once its row is verified."""
        if self._target.n_tokens < self._target.n_ctx():
            self._target.input_ids[self._target.n_tokens] = token

    def _feed(self, tokens: Sequence[int]) -> None:
        """Plain forwards over what was accepted but not fed, and over `tokens`."""
        target = self._target
        target.n_tokens = self._verifier.n_past
        target.eval([*self._refeed, *tokens])
        self._refeed = []
        self._verifier.begin(target.n_tokens)

    def _append(self, tokens: Sequence[int]) -> int | None:
        """Feeds the token just yielded and those the consumer sent, then draws."""
        target = self._target
        wrong = [token for token in tokens if not 0 <= token < target._n_vocab]
        if wrong:
            msg = f"sent token {wrong[0]} is outside the vocabulary of {target._n_vocab}"
            raise TokenError(msg)
        room = target.n_ctx() - target.n_tokens
        if len(tokens) > room:
            msg = f"the context is full: {len(tokens)} more tokens, room for {room}; load with a larger n_ctx"
            raise ContextFullError(msg)
        self._end_step()
        self._feed(tokens)
        return self._draw(None)
