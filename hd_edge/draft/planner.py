"""What the decode loop asks of whoever makes drafts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hd_edge import _native

TokenArray = NDArray[np.int32]


class Planner(Protocol):
    """Proposes the draft tree of each step and learns from what the target said.

    All token ids are int32; trees are native ``DraftTree`` whose root is the last token of the conversation.
    """

    def begin(self, tokens: TokenArray) -> None:
        """A generation starts (or was cut): `tokens` is the whole conversation, its last token not yet verified."""
        ...

    def prepare(self, max_rows: int) -> None:
        """Before a step, not counted as drafting: measures what a row costs, once."""
        ...

    def plan(self, max_rows: int, max_leaves: int) -> _native.DraftTree:
        """The tree for the next forward, at most `max_rows` nodes with the root; the root alone means no draft."""
        ...

    def learn(
        self,
        verifier: _native.Verifier,
        tree: _native.DraftTree,
        path: Sequence[int],
        emitted: Sequence[int],
        seconds: float,
    ) -> None:
        """After a step: accepted nodes (root first), the tokens drawn at them, wall seconds of the forward."""
        ...

    def finish(self, tokens: TokenArray, prompt_len: int) -> None:
        """A generation ended, also early: `tokens` is the whole conversation, of which `prompt_len` were given."""
        ...

    def reference(self, tokens: TokenArray) -> None:
        """Text that the answer is expected to repeat, until the next ``begin()``."""
        ...


class NoDraft:
    """Plain decoding: every tree is its root."""

    def __init__(self) -> None:
        self._last = 0

    def begin(self, tokens: TokenArray) -> None:
        """Remembers the last token."""
        self._last = int(tokens[-1])

    def prepare(self, max_rows: int) -> None:
        """Nothing to measure."""

    def plan(self, max_rows: int, max_leaves: int) -> _native.DraftTree:  # noqa: ARG002
        """The root alone."""
        tree = _native.DraftTree()
        tree.add(self._last, -1)
        return tree

    def learn(
        self,
        verifier: _native.Verifier,  # noqa: ARG002
        tree: _native.DraftTree,  # noqa: ARG002
        path: Sequence[int],  # noqa: ARG002
        emitted: Sequence[int],
        seconds: float,  # noqa: ARG002
    ) -> None:
        """Remembers the last token."""
        if emitted:
            self._last = emitted[-1]

    def finish(self, tokens: TokenArray, prompt_len: int) -> None:
        """Nothing to learn."""

    def reference(self, tokens: TokenArray) -> None:
        """Nothing to draft from."""


class DelegatingPlanner:
    """A planner around another one, which goes on learning in every step; subclasses replace what they change.

    Args:
        inner: The planner of the model.
    """

    def __init__(self, inner: Planner) -> None:
        self.inner = inner

    def begin(self, tokens: TokenArray) -> None:
        """Passed on."""
        self.inner.begin(tokens)

    def prepare(self, max_rows: int) -> None:
        """Passed on."""
        self.inner.prepare(max_rows)

    def plan(self, max_rows: int, max_leaves: int) -> _native.DraftTree:
        """The inner planner's tree."""
        return self.inner.plan(max_rows, max_leaves)

    def learn(
        self,
        verifier: _native.Verifier,
        tree: _native.DraftTree,
        path: Sequence[int],
        emitted: Sequence[int],
        seconds: float,
    ) -> None:
        """Passed on."""
        self.inner.learn(verifier, tree, path, emitted, seconds)

    def finish(self, tokens: TokenArray, prompt_len: int) -> None:
        """Passed on."""
        self.inner.finish(tokens, prompt_len)

    def reference(self, tokens: TokenArray) -> None:
        """Passed on."""
        self.inner.reference(tokens)
