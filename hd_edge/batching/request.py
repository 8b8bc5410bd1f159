"""Request: one generation, between the thread that reads its tokens and the one that makes them."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from llama_cpp import llama_cpp as lib

from hd_edge.draft.planner import NO_PREDICTION
from hd_edge.stats import TIER_NAMES, GenerationStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hd_edge._native import DraftTree, SlotRows
    from hd_edge.draft.jump_forward import ForcedTokens
    from hd_edge.engine.sampling import Sampler
    from hd_edge.engine.target import StopTest

    from .slots import Slot

AHEAD = 256  # tokens that nobody has read yet; then the conversation rests
AHEAD_OF_TEST = 8  # the same where a stopping criterion may keep the logits of each


class Rows:
    """The rows that a request's samplers draw from: those of the slot it gets when it is admitted."""

    def __init__(self) -> None:
        self.slot: SlotRows | None = None

    def argmax(self, node: int) -> int:
        """As ``_native.Verifier.argmax``."""
        return self._rows.argmax(node)

    def candidates(self, node: int, few: NDArray[np.int32], out: NDArray[np.int32]) -> int:
        """As ``_native.Verifier.candidates``."""
        return self._rows.candidates(node, few, out)

    def batch_row(self, node: int) -> int:
        """As ``_native.Verifier.batch_row``."""
        return self._rows.batch_row(node)

    def logits(self, node: int) -> NDArray[np.float32]:
        """As ``_native.Verifier.logits``."""
        return self._rows.logits(node)

    @property
    def _rows(self) -> SlotRows:
        if self.slot is None:
            msg = "the request has no slot yet, so there are no rows to draw from"
            raise RuntimeError(msg)
        return self.slot


class Progress(NamedTuple):
    """Tokens of a prompt that are computed, those to compute, and seconds so far."""

    done: int
    total: int
    seconds: float


@dataclass(eq=False)
class Request:
    """What is to be generated, how far it is, and what came of it.

    Attributes:
        prompt: Token ids.
        limit: Most output tokens.
        rows: Where ``sampler`` draws.
        sampler: Draws at the nodes of verified trees.
        stats: Counts go here.
        stop: As ``stopping_criteria`` of ``llama_cpp``.
        prediction: Text that the answer is predicted to repeat.
        forced: Follows the grammar, if there is one.
        on_prefill: As of ``Llama``; called in the thread that reads.
        slot: Its place in the KV cache, from admission to the end.
        tokens: Prompt and output; the last one, the root, is not in the KV cache yet.
        drawn: Output behind these, of the forward under way.
        begun: When it was admitted, ``time.perf_counter``.
        error: Why it ended, if that was no end of an answer.
        cancelled: Nobody wants more of it.
    """

    prompt: list[int]
    limit: int
    rows: Rows
    sampler: Sampler
    stats: GenerationStats
    stop: StopTest | None = None
    prediction: NDArray[np.int32] = field(default_factory=lambda: NO_PREDICTION)
    forced: ForcedTokens | None = None
    on_prefill: Callable[[int, int, float], None] | None = None

    slot: Slot | None = None
    tokens: list[int] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)
    begun: float = 0.0
    error: BaseException | None = None
    cancelled: bool = False
    taken: int = 0  # output tokens that were read
    made: int = 0  # output tokens

    def __post_init__(self) -> None:
        self._out: queue.SimpleQueue[tuple[int, str] | Progress | None] = queue.SimpleQueue()
        self._over = False  # its reader has seen the end

    @property
    def rests(self) -> bool:
        """Whether its reader is so far behind that it should wait."""
        return self.made - self.taken >= (AHEAD if self.stop is None else AHEAD_OF_TEST)

    def hand_out(self, tree: DraftTree | None, nodes: Sequence[int], drawn: Sequence[int]) -> None:
        """Tokens were drawn at nodes of a tree; None: at the prompt's end."""
        for node, token in zip(nodes, drawn, strict=True):
            child = tree.child(node, token) if tree is not None else -1
            self._out.put((token, TIER_NAMES[tree.tier_of(child) if tree is not None and child >= 0 else 0]))
        self.made += len(drawn)

    def tell(self, done: int, total: int) -> None:
        """So many tokens of the prompt were computed."""
        if self.on_prefill is not None:
            self._out.put(Progress(done, total, self.stats.prompt_seconds))

    def draw(self, tree: DraftTree, vocab: Any) -> tuple[list[int], list[int], bool, BaseException | None]:
        """Draws along a verified tree, from its root.

        Args:
            tree: Of the forward that was made.
            vocab: ``llama_vocab*``.

        Returns:
            Nodes accepted, tokens drawn at them, whether the answer is over, and what was raised.
        """
        path: list[int] = [0]
        drawn = self.drawn = []
        try:
            while True:
                node = path[-1]
                token = self.sampler.sample(node)
                if self.stops(node):
                    return path, drawn, True, None
                drawn.append(token)
                if lib.llama_vocab_is_eog(vocab, token) or self.made + len(drawn) >= self.limit:
                    return path, drawn, True, None
                child = tree.child(node, token)
                if child < 0:
                    return path, drawn, False, None
                path.append(child)
        except BaseException as error:  # of the user's processors or criteria, or of the grammar: this request's alone
            return path, drawn, True, error

    def end(self, error: BaseException | None = None) -> None:
        """There will be no more."""
        self.error = error
        self._out.put(None)

    def read(self) -> Iterator[tuple[int, str]]:
        """Tokens and their tiers, as they come.

        Raises:
            BaseException: What ended the generation.
        """
        while (item := self._out.get()) is not None:
            if isinstance(item, Progress):
                if self.on_prefill is not None:
                    self.on_prefill(*item)
                continue
            self.taken += 1
            yield item
        self._over = True
        if self.error is not None:
            raise self.error

    def drain(self) -> None:
        """Waits until the generation has ended; whatever it makes until then is nobody's."""
        while not self._over:
            self._over = self._out.get() is None

    def prefix(self) -> NDArray[np.intc]:
        """All tokens before the one that is drawn next: what processors and stopping criteria are told."""
        return np.array([*self.tokens, *self.drawn], np.intc)

    def stops(self, node: int) -> bool:
        """Whether the stopping criteria end it before the token that is drawn at a node."""
        return self.stop is not None and self.stop(self.prefix(), self.rows.logits(node))

    def said(self) -> tuple[NDArray[np.int32], list[tuple[int, int]]]:
        """The conversation, as far as somebody wanted it, and where its output tokens are."""
        wanted = self.taken if self.cancelled else self.made
        text = np.array(self.tokens[: len(self.prompt) + wanted], np.int32)
        return text, [(len(self.prompt), len(text))]
