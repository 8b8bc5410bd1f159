"""GatedState: the calls of ``llama_cpp.Llama`` that use the context, kept apart from the thread that saves state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from .cache import PrefixCache


class GatedState:
    """To be put before ``llama_cpp.Llama`` among the bases of a class.

    Attributes:
        on_prefill: Called after each batch of a prompt with tokens done, tokens to do, and seconds so far.
    """

    _prefixes: PrefixCache | None = None
    on_prefill: Callable[[int, int, float], None] | None = None

    def eval(self, tokens: Sequence[int]) -> None:
        """As ``llama_cpp.Llama.eval``."""
        with self._inside():
            super().eval(tokens)  # type: ignore[misc]

    def save_state(self) -> Any:
        """As ``llama_cpp.Llama.save_state``."""
        with self._inside():
            return super().save_state()  # type: ignore[misc]

    def load_state(self, state: Any) -> None:
        """As ``llama_cpp.Llama.load_state``; frees the sequences of draft trees."""
        llama: Any = self
        with self._inside():
            super().load_state(state)  # type: ignore[misc]
            if llama._verifier is not None:
                llama._verifier.release(llama.n_tokens)

    def _inside(self) -> AbstractContextManager[None]:
        return nullcontext() if self._prefixes is None else self._prefixes.gate.inside()

    @contextmanager
    def _generating(self) -> Iterator[None]:
        """One generation runs in this block."""
        prefixes = self._prefixes
        if prefixes is None:
            yield
            return
        prefixes.enter()
        try:
            yield
        finally:
            llama: Any = self
            prefixes.leave(llama.input_ids[: llama.n_tokens].copy())

    def _close_prefixes(self) -> None:
        """Saves what is left; the context must still be there."""
        if self._prefixes is not None:
            self._prefixes.close()
            self._prefixes = None
