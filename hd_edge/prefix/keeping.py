"""Keeping: what ``hd_edge.Llama`` keeps of its prompts, and the word it gives while it reads one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import PrefixBase
    from .checkpoints import Checkpoints


def computed(llama: Any, live: Any) -> Any:
    """Of the tokens in the KV cache (an array) those whose state was computed here, by the model as it was loaded.

    A state that was loaded may be of another model, or damaged, and an adapter that somebody put on the context makes
    it another model: in a conversation that is its owner's business, in a file that other processes read it is not.
    """
    return live[:0] if llama._lent or llama._adapters.changes else live


class Keeping:
    """A base of ``hd_edge.Llama``.

    Attributes:
        checkpoints: Of a memory that cannot go back to any token; None: it can, or nothing is kept.
        on_prefill: Called after each batch of a prompt with tokens done, tokens to do, and seconds so far.
    """

    _prefixes: PrefixBase | None = None
    checkpoints: Checkpoints | None = None
    on_prefill: Callable[[int, int, float], None] | None = None

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """One generation runs in this block; its first and its last moment are within a step of it."""
        prefixes = self._prefixes
        if prefixes is None:
            yield
            return
        prefixes.enter()
        try:
            yield
        finally:
            prefixes.leave()

    def _end_prefixes(self) -> None:
        """Saves what is left; the context must still be there, and this thread's."""
        prefixes, self._prefixes = self._prefixes, None
        if prefixes is not None:
            llama: Any = self
            prefixes.close(computed(llama, llama.input_ids[: llama.n_tokens]))
