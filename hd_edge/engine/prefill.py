"""The prompt: checked before llama.cpp sees it, and brought into the KV cache with its known prefix reused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from hd_edge import _native
from hd_edge.backend.tokens import token_ids
from hd_edge.errors import ContextFullError, TokenError
from hd_edge.prefix.cache import LEAST_GAIN, PrefixCache
from hd_edge.prefix.checkpoints import APART, CLOSE
from hd_edge.prefix.keeping import computed
from hd_edge.prefix.states import StateCache

from .rewind import known, resume, rewind

if TYPE_CHECKING:
    from hd_edge.prefix.base import PrefixBase

LEAST_MEASURED = 32  # tokens of a prefill that tell its rate


def check_prompt(llama: Any, tokens: Sequence[int], reset: bool) -> list[int]:
    """The prompt as a list of ids inside the vocabulary that fits the context.

    Raises:
        TokenError: No ids at all, something else than ids, or an id outside the vocabulary.
        ContextFullError: More tokens than the context has room for.
        DecodeError: ``n_tokens`` was set to what no context holds.
    """
    n_ctx, ids = llama.n_ctx(), token_ids(tokens, llama.n_vocab())
    held = 0 if reset else known(llama)
    if not ids and not held:
        msg = "the prompt is empty: at least 1 token is needed, got 0; begin with token_bos() if the model has one"
        raise TokenError(msg)
    if held + len(ids) > n_ctx:
        raise ContextFullError.of_prompt(held + len(ids), n_ctx)
    return ids


def prefill(
    llama: Any, verifier: _native.Verifier, tokens: list[int], reset: bool, prefixes: PrefixBase | None = None
) -> bool:
    """Brings the prompt into the KV cache; what the cache already holds of it, or ``prefixes`` knows, is kept.

    Afterwards the last row of the last forward has the logits of the prompt's last token.

    Returns:
        False if the generation was cancelled meanwhile; what was computed until then is kept.
    """
    if reset and llama._adapters.stale:
        llama._forget()
    if llama._adapters.changes:
        prefixes = None  # what it knows is of the model as it was loaded
    held, found = llama.input_ids[: llama.n_tokens], []
    if reset:
        n = min(len(held), len(tokens))
        differ = np.flatnonzero(held[:n] != np.asarray(tokens[:n], dtype=np.intc))
        keep = int(differ[0]) if len(differ) else n
        if llama._lent and keep < LEAST_GAIN:
            llama._forget()  # of a loaded state nothing is left, not even what lies where no prompt reaches
            held, keep = held[:0], 0
        if isinstance(prefixes, PrefixCache):
            if llama._lent:  # it may lack cells that a window needs: no piece goes in behind those
                keep = rewind(llama, verifier, keep)
                held = held[:keep]
            verifier.release(llama.n_tokens)  # the cache needs a free sequence
            llama.n_tokens = 0  # nothing is held while pieces go in, should a signal end it
            keep = prefixes.fetch(computed(llama, held), tokens, keep)
            llama.input_ids[:keep] = tokens[:keep]
        elif isinstance(prefixes, StateCache):
            found = prefixes.find(tokens)
            if keep < len(held):
                prefixes.saver.take(computed(llama, held))
    else:
        tokens, keep = [*held.tolist(), *tokens], len(held)
    keep = rewind(llama, verifier, min(keep, len(tokens) - 1))  # if everything is held: the last token again
    if found and isinstance(prefixes, StateCache):
        keep = resume(llama, verifier, tokens, partial(prefixes.resume, found))
    tokens = tokens[keep:]
    llama.stats.cached_tokens = llama.n_tokens
    try:
        _compute(llama, tokens, prefixes)
    except RuntimeError:  # eval() has left a context that holds
        if not verifier.cancelled:
            raise
        return False
    return True


def _ends(n: int, most: int, *, close: bool) -> list[int]:
    """Where the forwards over n tokens end, each over at most so many; with a checkpoint close to the last token."""
    first = n - CLOSE if close and n >= APART else n
    return [*range(most, first, most), first, *range(first + most, n, most), *([n] if first < n else [])]


def _compute(llama: Any, tokens: list[int], prefixes: PrefixBase | None) -> None:
    """Forwards over the tokens, one batch after the other, with a word to whoever watches after each."""
    started = perf_counter()
    tell = llama.on_prefill and llama._life.callback(llama.on_prefill)
    checkpoints, done = llama.checkpoints, 0
    for end in _ends(len(tokens), llama.n_batch, close=checkpoints is not None):
        if checkpoints is not None:
            checkpoints.note(llama.n_tokens)
        llama.eval(tokens[done:end])
        seconds = perf_counter() - started
        done = end
        if tell is not None:
            tell(done, len(tokens), seconds)
        if prefixes is not None and done >= LEAST_MEASURED:
            prefixes.computed(done, seconds)
