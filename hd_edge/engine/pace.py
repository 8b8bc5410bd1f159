"""Pace: the team of threads around the forwards of a generation, and the cost curve that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hd_edge.backend.api import has_gpu
from hd_edge.backend.team import SPLIT_CELLS, Team, set_threads, threads_change_bits
from hd_edge.backend.threads import running_threads

if TYPE_CHECKING:
    from hd_edge import _native


class Still:
    """Leaves the threads as they are."""

    @contextmanager
    def generation(self, planner: Any) -> Iterator[None]:  # noqa: ARG002
        """Around a generation."""
        yield

    def before(self, cells: int) -> None:
        """A forward comes."""

    def after(self, rows: int, cells: int, seconds: float) -> None:
        """A forward was made."""

    def prompt(self, rows: int, cells: int) -> None:
        """A prompt comes."""


class Pace(Still):
    """Asks the team before each forward, tells it what the forward took, and gives each size a cost curve of its own.

    What a row costs depends on the threads. So the planner sees the curve of the team at work, and only that of all
    threads, outside a generation, is what a store keeps: a busy minute is never learned as the truth.

    Args:
        most: Threads on an idle machine.
        apply: Sets the number of threads of the next forward.
        most_cells: As for ``Team``.
        running: The same.
    """

    def __init__(
        self,
        most: int,
        apply: Callable[[int], None],
        *,
        most_cells: int | None = None,
        running: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.team = Team(most, self._changed, most_cells=most_cells, running=running)
        self._apply = apply
        self._planner: Any = None
        self._curves: dict[int, Any] = {}  # by the size of the team; none where the planner has none

    @contextmanager
    def generation(self, planner: Any) -> Iterator[None]:
        """Around a generation; the planner's ``cost``, if it has one, is the curve. Its prompt has all threads."""
        self.gather()
        if planner is not self._planner:
            self._planner = planner
            self._curves = {self.team.most: planner.cost} if hasattr(planner, "cost") else {}
        try:
            yield
        finally:
            self.gather()

    def before(self, cells: int) -> None:
        """A forward comes that attends to so many cells of the KV cache."""
        self.team.before(cells)

    def after(self, rows: int, cells: int, seconds: float) -> None:
        """A forward over so many rows took so many seconds."""
        price = self._planner.cost.cost(rows, cells) if self._curves else 0.0
        self.team.after(seconds / price if price > 0 else seconds if rows == 1 else 0.0)

    def prompt(self, rows: int, cells: int) -> None:
        """A prompt comes, in forwards of so many rows, after which the KV cache holds so many cells."""
        self.team.prompt(rows, cells)

    def gather(self) -> None:
        """All threads, between generations."""
        self.team.gather()

    def _changed(self, size: int) -> None:
        self._apply(size)
        if not self._curves:
            return
        if size != self.team.most and (size != self.team.home or size not in self._curves):
            self._curves[size] = self._curves[self.team.most].doubted()  # a trial begins with what is known
        self._planner.cost = self._curves[size]


def pace_of(llama: Any, verifier: _native.Verifier, most: int | None, *, own_attention: bool) -> Still:
    """The pace of a ``llama_cpp.Llama`` whose threads may change; ``Still`` where a GPU or another machine may compute.

    Args:
        llama: Loaded.
        verifier: Of its context.
        most: Its threads; None: they are the user's choice, and stay.
        own_attention: Its attention is computed by kernels of ours.
    """
    if most is None or has_gpu():
        return Still()
    bound = threads_change_bits(llama.context_params, own_attention=own_attention)
    cells = SPLIT_CELLS if bound else None
    return Pace(most, set_threads(llama.ctx, lambda: verifier.detached), most_cells=cells, running=running_threads)
