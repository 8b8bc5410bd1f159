"""Token ids in the place of a text, which is embedded as exactly these."""

from __future__ import annotations

from collections.abc import Sequence


class GivenTokens(bytes):
    """What ``llama_cpp.Llama.embed`` takes for a text, encodes, and gives to our ``tokenize``, which knows the ids.

    Attributes:
        ids: The tokens.
    """

    ids: Sequence[int]

    @classmethod
    def of(cls, ids: Sequence[int]) -> GivenTokens:
        """An empty text with these tokens."""
        made = cls()
        made.ids = ids
        return made

    def encode(self, *_: str) -> GivenTokens:
        """Itself: it is no text of characters."""
        return self
