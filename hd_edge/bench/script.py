"""A model that chooses the tokens of a script: all its work is real, the result of each draw is replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from hd_edge.engine.sampling import Samplers


class _Says:
    """Draws at a row, and gives the next token of the script."""

    def __init__(self, inner: Any, script: Iterator[int]) -> None:
        self._inner, self._script = inner, script

    def sample(self, node: int) -> int:
        self._inner.sample(node)
        return next(self._script)

    def sample_row(self, row: int) -> int:
        self._inner.sample_row(row)
        return next(self._script)


class ScriptedSamplers(Samplers):
    """``Samplers`` of a generation whose tokens are known."""

    def __init__(self, script: Sequence[int], *given: Any) -> None:
        super().__init__(*given)
        tokens = iter(script)
        self.first: Any = _Says(self.first, tokens)
        self.node: Any = _Says(self.node, tokens)


@contextmanager
def following(llm: Any, script: Sequence[int] | None) -> Iterator[None]:
    """Generations of this ``hd_edge.Llama`` choose the tokens of the script; None: their own."""
    if script is None:
        yield
        return
    llm.samplers = partial(ScriptedSamplers, script)
    try:
        yield
    finally:
        del llm.samplers
