"""OneOfMany: what cannot be asked of a context that many conversations share."""

from __future__ import annotations

from typing import Any, NoReturn

from hd_edge import Llama
from hd_edge.errors import DecodeError

SHARED = "the context is shared by many conversations: only completions and chats can be asked of it, of its engine"


class OneOfMany(Llama):
    """A ``Llama`` on such a context."""

    def _shared(self, *_: Any, **__: Any) -> NoReturn:
        raise DecodeError(SHARED)

    eval = sample = reset = save_state = load_state = set_cache = embed = _shared
