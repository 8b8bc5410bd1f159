"""What ``llama_decode`` answers, and the errors that tell of it."""

from __future__ import annotations

import re
from typing import Any

from hd_edge.errors import ContextFullError, DecodeError

NO_SLOT, ABORTED = 1, 2  # no room for the batch in the KV cache; cancel() was called
UNTOUCHED = (NO_SLOT, -1)  # nothing was computed


def code_of(error: RuntimeError) -> int:
    """What llama_decode returned, as llama_cpp's error says it; 0 for another error."""
    found = re.search(r"returned (-?\d+)", str(error))
    return int(found[1]) if found else 0


def decode_error(llama: Any, code: int, items: int) -> DecodeError | ContextFullError:
    """For a forward over so many tokens or texts of a ``Llama``."""
    if code == ABORTED:
        return DecodeError(f"cancel() ended a forward over {items} tokens or texts; {llama.n_tokens} are known now")
    if code == NO_SLOT:
        msg = f"the context of {llama._n_ctx} tokens has no room for {items} more behind {llama.n_tokens}"
        return ContextFullError(msg)
    return DecodeError(f"llama_decode returned {code} for {items} tokens, 0 is expected; {llama.n_tokens} are known")
