"""A state that is loaded: whole or not at all, and remembered as one that was not computed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hd_edge.backend.cell_order import go_on_behind, reuses_cells
from hd_edge.errors import ContextFullError, DecodeError

if TYPE_CHECKING:
    from .guarded import Guarded

FIELDS = ("input_ids", "scores", "n_tokens", "llama_state", "llama_state_size")


def load(llama: Guarded, state: Any, load_state: Callable[[Any], None]) -> None:
    """Puts a state of ``save_state()`` into the context.

    It may be damaged, or of another model of the same shape, which llama.cpp does not notice: nothing of it may get
    into the prefix cache, and what is computed from nothing begins with an empty memory. Where llama.cpp would write
    over it and cannot be told not to, its tokens are computed again.

    Args:
        llama: The model.
        state: ``llama_cpp.LlamaState``.
        load_state: ``llama_cpp.Llama.load_state`` of that model.

    Raises:
        ContextFullError: It holds more tokens than the context.
        DecodeError: It is no state, or none of this model with this context; the context is empty. Or the forward over
            its tokens failed or was cancelled.
    """
    ids, lacks = llama.input_ids, [name for name in FIELDS if not hasattr(state, name)]
    if lacks:
        msg = f"{type(state).__name__} is no state, it lacks {', '.join(lacks)}: give what save_state() returned"
        raise DecodeError(msg)
    try:
        n_tokens, held = int(state.n_tokens), len(state.input_ids)
        if not 0 <= n_tokens <= min(llama._n_ctx, held):
            msg = f"the state holds {n_tokens} tokens, this context {llama._n_ctx}: load with a larger n_ctx"
            raise ContextFullError(msg)
        llama._lent = llama._ctx.memory is not None
        load_state(state)
        ids[:n_tokens] = state.input_ids[:n_tokens]
        if n_tokens and not 0 <= min(ids[:n_tokens]) <= max(ids[:n_tokens]) < llama._n_vocab:
            msg = f"it holds token ids outside the vocabulary of {llama._n_vocab}"
            raise ValueError(msg)
    except ContextFullError:
        raise
    except (RuntimeError, ValueError, TypeError, AttributeError, OverflowError) as error:
        llama.input_ids = ids
        llama._forget()
        msg = f"the state does not fit this model, or its context of {llama._n_ctx} tokens: {error}"
        raise DecodeError(msg) from error
    finally:
        llama.input_ids = ids  # of this context's length
    llama._adapters.forgotten()
    if llama._ctx.memory is not None:
        llama._ctx.kv_cache_seq_keep(0)
    if llama.checkpoints is not None:
        llama.checkpoints.cut(0)
    if llama._verifier is not None:
        llama._verifier.begin(n_tokens)
        if n_tokens and not _kept(llama, n_tokens):
            llama._forget()
            llama.eval(ids[:n_tokens].tolist())


def _kept(llama: Guarded, n_tokens: int) -> bool:
    """Whether what comes next will lie behind the cells of these tokens."""
    params = llama.context_params
    if not params.swa_full or not reuses_cells(llama.ctx):
        return True  # a small cache is written over in any case, and the verifier knows
    last = params.n_seq_max - 1
    return last > 1 and n_tokens < llama._n_ctx and go_on_behind(llama.ctx, [0], last - 1, last)
