"""Rewind: ends the context at an earlier token, or as near to it as its memory can go back; resume: goes on from there.

llama.cpp says yes to what it cannot do: a recurrent state goes back to a snapshot that may be none of this prefix, and
the cells that a sliding window needs may be overwritten. The native verifier knows which of its forwards can be taken
back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hd_edge.backend.ranges import is_integer
from hd_edge.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hd_edge import _native


def known(llama: Any) -> int:
    """How many tokens the context holds: ``llama.n_tokens``, which anybody may set.

    Raises:
        DecodeError: To what no context holds, or there is no room for their ids; nothing is known any more.
    """
    n, most, ids = llama.n_tokens, llama._n_ctx, llama.input_ids
    if not isinstance(ids, np.ndarray) or ids.ndim != 1 or len(ids) < most or ids.dtype.kind != "i":
        llama.input_ids = np.zeros(most, dtype=np.intc)
        llama._forget()
        msg = f"input_ids was set to something else than an array of {most} whole numbers: nothing is known any more"
        raise DecodeError(msg)
    if is_integer(n) and 0 <= n <= most:
        return int(n)
    llama._forget()
    msg = f"n_tokens was set to {n!r}, which is not an integer from 0 to {most}: nothing is known any more"
    raise DecodeError(msg)


def change(now: Any, held: int) -> Any:
    """What ``n_tokens`` was set to while a generation rested that holds so many; None: nothing else."""
    return None if is_integer(now) and now == held else now


def check_unchanged(change: Any, held: int) -> None:
    """A generation goes on from its own tokens.

    Raises:
        DecodeError: ``n_tokens`` was set while it rested.
    """
    if change is not None:
        msg = f"n_tokens was set to {change!r} while a generation rested that holds {held} tokens: close it first"
        raise DecodeError(msg)


def left(change: Any, held: int) -> int:
    """How many tokens an ended generation leaves: as many as ``n_tokens`` was set to, if it holds so many."""
    return int(change) if is_integer(change) and 0 <= change < held else held


def rewind(llama: Any, verifier: _native.Verifier, to: int) -> int:
    """Ends the context behind its first tokens.

    Args:
        llama: Its ``input_ids`` are the tokens whose state the memory holds.
        verifier: Of its context.
        to: How many tokens are wanted.

    Returns:
        How many are left: ``to``, or fewer where the memory cannot go back there; ``llama.n_tokens`` says so, too.
    """
    checkpoints = llama.checkpoints
    if verifier.release(to):
        llama.n_tokens = to
    elif checkpoints is not None and (tokens := checkpoints.restore(to)):
        verifier.begin(tokens)
        llama.n_tokens, llama._requires_eval = tokens, True
    else:
        llama._forget()
    if checkpoints is not None:
        checkpoints.cut(llama.n_tokens)
    return int(llama.n_tokens)


def resume(llama: Any, verifier: _native.Verifier, tokens: list[int], put: Callable[[int], int]) -> int:
    """Brings in the latest stored state of a prompt's beginning, where that is ahead of what is left and pays.

    Args:
        llama: Its memory holds nothing but tokens of the prompt.
        verifier: Of its context.
        tokens: The prompt.
        put: Told how many tokens are left, puts in a state of more, and says of how many; 0: nothing is left.

    Returns:
        How many of the prompt's tokens the memory holds now; ``llama.n_tokens`` says so, too.
    """
    keep, llama.n_tokens = llama.n_tokens, 0  # nothing is known while a state goes in, should a signal end it
    got = put(keep)
    if got > keep:
        verifier.begin(got)
        llama.input_ids[:got] = tokens[:got]
        llama._requires_eval = True
    elif got < keep:
        llama._forget()
    llama.n_tokens = got
    return int(got)
