"""The draft-verify loop. Token ids only: it knows no text and no SQL.

Tokens are drawn one by one as the consumer asks for them, so a generator closed at any moment leaves the KV cache, the
sampler and the tiers as if the tokens not yielded had never been.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from hd_edge.backend.tokens import token_ids
from hd_edge.draft.planner import NO_PREDICTION, Step, root_alone
from hd_edge.errors import ContextFullError, DecodeError
from hd_edge.stats import TIER_NAMES, GenerationStats

from .answers import ABORTED, NO_SLOT
from .pace import Still
from .rewind import change, check_unchanged, left

if TYPE_CHECKING:
    from hd_edge import _native
    from hd_edge.draft.planner import Planner, TokenArray

    from .sampling import Draws
    from .target import StopTest, Target

Consumer = Generator[int, Sequence[int] | None, int | None]


class Decoder:
    """One generation.

    Args:
        target: Its KV cache holds the conversation, and the last forward gave the logits of its last token.
        verifier: The native verifier of that context.
        planner: Proposes trees.
        draws: The samplers of the prefill's last row and of the nodes of verified trees.
        stop: ``stopping_criteria`` of ``llama_cpp``, called with the prefix and the logits of its last token.
        stats: Counts go here.
        prediction: Text that the answer is predicted to repeat.
        on_step: Called after each step.
        on_end: Called once, with the conversation and the spans of it that are output tokens.
        pace: Chooses the threads of each forward; None: they stay as they are.
    """

    def __init__(
        self,
        target: Target,
        verifier: _native.Verifier,
        planner: Planner,
        draws: Draws,
        stats: GenerationStats,
        stop: StopTest | None = None,
        prediction: TokenArray | None = None,
        *,
        on_step: Callable[[Step], None] | None = None,
        on_end: Callable[[TokenArray, list[tuple[int, int]]], None] | None = None,
        pace: Still | None = None,
    ) -> None:
        self._target, self._verifier, self._planner, self._draws = target, verifier, planner, draws
        self._n_ctx = target.n_ctx()
        self._stats, self._stop = stats, stop
        self._prediction = NO_PREDICTION if prediction is None else prediction
        self._on_step = on_step
        self._on_end = on_end or (lambda *_: None)
        self._pace = Still() if pace is None else pace
        self._tree: _native.DraftTree | None = None  # verified, its step not learned yet
        self._path: list[int] = []  # nodes of it accepted so far, root first
        self._drawn: list[int] = []  # output tokens drawn at them
        self._seconds = 0.0  # of its forward
        self._planning = 0.0  # since the last step was learned
        self._refeed: list[int] = []  # accepted, but not in the KV cache
        self._again = 0  # tokens that the last forward fed again
        self._begun = False  # whether the planner knows the conversation
        self._spans = [(target.n_tokens, target.n_tokens)]  # of the output tokens that have been handed out
        self._open: int | None = None  # token yielded last, not yet in input_ids
        self._change: Any = None  # what the consumer has set ``n_tokens`` to
        self._since: float | None = None  # None while the consumer has the token
        self.tier = TIER_NAMES[0]  # of the token yielded last

    def run(self) -> Consumer:
        """Yields token ids until closed, stopped, cancelled, or the context is full.

        A consumer may ``send()`` token ids: they are appended behind the token just yielded, as in ``llama_cpp``.

        Raises:
            ContextFullError: No room for another token.
            DecodeError: The forward failed.
        """
        self._since = perf_counter()
        try:
            self._verifier.begin(self._target.n_tokens)
            root = yield from self._hand_out(self._draw(None))
            while root is not None:
                root = yield from self._verify(root, self._plan(root))
                self._learn()
            return None
        finally:
            self.settle()

    # -- one step ------------------------------------------------------------------------------------------------

    def _plan(self, root: int) -> _native.DraftTree:
        """The tree to verify behind the conversation, whose last token is the root."""
        target, verifier = self._target, self._verifier
        room = self._n_ctx - target.n_tokens
        if room < 1:
            msg = f"the context is full: {target.n_tokens} tokens of {self._n_ctx}; load with a larger n_ctx"
            raise ContextFullError(msg)
        self._write(root)
        if not self._begun:
            self._planner.begin(np.array(target.input_ids[: target.n_tokens + 1], dtype=np.int32), self._prediction)
            self._begun = True
        if len(self._refeed) >= verifier.max_rows:
            self._feed([])
        # A copy of the state is of the trunk: what is fed again has to hold before a draft.
        rows = 1 if self._refeed and verifier.copies else min(verifier.max_rows - len(self._refeed), room)
        started = perf_counter()
        tree = self._planner.plan(root, rows, verifier.max_leaves)
        self._planning += perf_counter() - started
        return tree

    def _verify(self, root: int, tree: _native.DraftTree) -> Consumer:
        """One forward; hands out the tokens drawn along the accepted path and returns the last one, the next root."""
        if self._verifier.cancelled or not self._forward(root, tree):
            return None
        node = 0
        while (token := self._draw(node)) is not None:
            handed = yield from self._hand_out(token)
            if self._tree is None:  # the consumer sent tokens: the step is over
                return handed
            node = self._tree.child(node, token)
            if node < 0:
                return token
            self._write(token)
            self._path.append(node)
            self._target.n_tokens += 1
        return None

    def _learn(self) -> None:
        """Keeps the accepted path in the KV cache, drops the rest, lets the planner learn."""
        tree, self._tree = self._tree, None
        if tree is None:
            return
        started = perf_counter()
        kept = self._verifier.commit(self._path)
        seconds = self._seconds + perf_counter() - started
        self._refeed = tree.token[self._path[kept:]].tolist() if kept < len(self._path) else []
        step = Step(tree, self._path, self._drawn, seconds, self._planning, self._verifier, self._again)
        self._stats.count_step(tree, self._path, seconds, self._planning)
        started = perf_counter()
        self._planner.learn(step)
        self._planning = perf_counter() - started
        if self._on_step is not None:
            self._on_step(step)

    def _forward(self, root: int, tree: _native.DraftTree) -> bool:
        """Verifies a tree, or its root alone where it does not fit; False if the generation was cancelled."""
        target, verifier = self._target, self._verifier
        pending = [*self._refeed, root]
        self._pace.before(target.n_tokens + len(self._refeed) + len(tree))
        started = perf_counter()
        code = verifier.decode(pending, tree)
        if code == NO_SLOT and len(tree) > 1:  # the root alone needs one cell
            tree = root_alone(root)
            code = verifier.decode(pending, tree)
        if code == ABORTED:
            return False
        if code != 0:
            msg = (
                f"llama_decode returned {code} for {len(tree)} rows, 0 is expected; the KV cache is as before, with "
                f"{verifier.n_past} of {self._n_ctx} tokens"
            )
            raise DecodeError(msg)
        self._again = len(self._refeed)
        self._tree, self._path, self._drawn, self._refeed = tree, [0], [], []
        self._seconds = perf_counter() - started
        self._pace.after(len(pending) + len(tree) - 1, target.n_tokens, self._seconds)
        target.n_tokens += 1
        return True

    def _draw(self, node: int | None) -> int | None:
        """The target's token at a node (None: the last row of the prefill); None if the stopping criteria say so."""
        target, row = self._target, None
        if target._logits_all and node is not None:
            row = target.scores[target.n_tokens - 1]
            row[:] = self._verifier.logits(node)
        first, at_node = self._draws.first, self._draws.node
        token = first.sample_row(-1) if node is None else at_node.sample(node)
        if self._stop is not None:
            if row is None:
                row = first.last_row(target._n_vocab) if node is None else self._verifier.logits(node)
            if self._stop(target.input_ids[: target.n_tokens], row):
                return None
        if node is None or self._tree is None:
            self.tier = TIER_NAMES[0]
        else:
            self._drawn.append(token)
            child = self._tree.child(node, token)
            self.tier = TIER_NAMES[self._tree.tier_of(child) if child >= 0 else 0]
        return token

    # -- the conversation ----------------------------------------------------------------------------------------

    def _hand_out(self, token: int | None) -> Consumer:
        """Yields a token and returns it, or the one that followed what the consumer sent; None at the end."""
        while token is not None:
            self._clock(running=False)
            held = self._target.n_tokens
            try:
                self._stats.last = self._open = token
                self._stats.tokens += 1
                sent = yield token
            finally:
                self._change, self._target.n_tokens = change(self._target.n_tokens, held), held
            check_unchanged(self._change, held)
            self._clock(running=True)
            self._open = None
            if sent is None:
                return token
            token = self._append(token, sent)
        return None

    def _append(self, first: int, sent: Sequence[int]) -> int | None:
        """Feeds the token just yielded and those the consumer sent, then draws."""
        target = self._target
        tokens = [first, *token_ids(sent, target._n_vocab)]
        room = self._n_ctx - target.n_tokens
        if len(tokens) > room:
            msg = f"the context is full: {len(tokens)} more tokens, room for {room}; load with a larger n_ctx"
            raise ContextFullError(msg)
        self._learn()
        self._spans[-1] = (self._spans[-1][0], target.n_tokens + 1)
        self._feed(tokens)
        self._spans.append((target.n_tokens, target.n_tokens))
        self._begun = False
        return self._draw(None)

    def _feed(self, tokens: Sequence[int]) -> None:
        """Plain forwards over what was accepted but not fed, and over `tokens`."""
        target = self._target
        target.n_tokens = self._verifier.n_past
        target.eval([*self._refeed, *tokens])
        self._refeed = []
        self._verifier.begin(target.n_tokens)

    def _write(self, token: int) -> None:
        """Writes the token behind the KV cache's end; it counts once its row is verified."""
        if self._target.n_tokens < self._n_ctx:
            self._target.input_ids[self._target.n_tokens] = token

    def _clock(self, running: bool) -> None:
        """The consumer's time is not the generation's."""
        now = perf_counter()
        if self._since is not None:
            self._stats.seconds += now - self._since
        self._since = now if running else None

    def pause(self) -> None:
        """Between two tokens: leaves KV cache and target as plain decoding has them; the generation goes on."""
        self._learn()
        if self._refeed:
            with self._target.settling():  # what was cancelled is the generation, not its end
                self._feed([])
        self._verifier.release(self._target.n_tokens)
        self._target._requires_eval = True

    def settle(self) -> None:
        """Leaves KV cache, target and tiers as plain decoding leaves them after the tokens yielded so far."""
        if self._verifier.detached:  # the garbage collector has freed the context, in an order of its own
            return
        want, last = self._target.n_tokens, [] if self._open is None else [self._open]
        text = np.append(self._target.input_ids[:want], np.array(last, np.int32)).astype(np.int32)
        self._spans[-1] = (self._spans[-1][0], len(text))
        try:
            self._settle(want)
        finally:  # also where a signal's handler raises
            self._on_end(text, self._spans)

    def _settle(self, want: int) -> None:
        target, verifier = self._target, self._verifier
        if self._tree is not None:
            self._learn()
        elif verifier.rows:
            verifier.rollback()
        if not verifier.release(min(want, verifier.n_past)):
            verifier.forget()  # the forward under way when something was raised has overwritten the state
        target.n_tokens = verifier.n_past
        target._requires_eval = True
        if 0 < target.n_tokens < want and not verifier.cancelled:
            with target.settling():
                target.eval([int(token) for token in target.input_ids[target.n_tokens : want]])
            verifier.begin(target.n_tokens)
        target.n_tokens = left(self._change, target.n_tokens)
        self._clock(running=False)
        self._stats.draft_seconds += self._planning
