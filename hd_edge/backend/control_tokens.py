"""Where a text can be cut so that its pieces have the tokens of the whole: behind control tokens.

llama.cpp looks for each control token behind each one that it has found, to the end of the text: 32,000 of them take
half a minute. In pieces of a bounded length that is linear.
"""

from __future__ import annotations

import re
from typing import Any

from llama_cpp import llama_cpp as lib

SHORTEST = 16 * 1024  # bytes: shorter texts stay whole
PIECE = 1024  # bytes, about
SPELLS = (1, 2)  # vocabulary types (SentencePiece, byte pairs) that treat what stands between control tokens alone
SOUGHT = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED | lib.LLAMA_TOKEN_ATTR_UNKNOWN


class Cuts:
    """Cuts texts for one vocabulary."""

    def __init__(self) -> None:
        self._attributes: dict[bytes, int] | None = None  # of the texts that llama.cpp looks for
        self._clear: dict[bytes, bool] = {}  # what is known of them

    def pieces(self, vocab: Any, text: bytes, add_bos: bool) -> list[bytes]:
        """The pieces of a text, of which the first has the beginning-of-sequence token.

        Args:
            vocab: ``llama_vocab*``, always the same.
            text: In which control tokens are read as such.
            add_bos: Whether the tokens of beginning and end are added, where the model has them.
        """
        puts_end = add_bos and lib.llama_vocab_get_add_eos(vocab)
        if len(text) < SHORTEST or puts_end or lib.llama_vocab_type(vocab) not in SPELLS:
            return [text]
        if self._attributes is None:
            self._attributes = _attributes(vocab)
        found = [token for token in self._attributes if token in text and self._is_clear(token)]
        if not found:
            return [text]
        pieces, start = [], 0
        for match in re.finditer(b"|".join(map(re.escape, found)), text):
            if match.end() - start >= PIECE:
                pieces.append(text[start : match.end()])
                start = match.end()
        return [*pieces, text[start:]] if start < len(text) else pieces

    def _is_clear(self, token: bytes) -> bool:
        """Whether llama.cpp reads it wherever it stands, and takes nothing behind it away."""
        if token not in self._clear:
            texts = self._attributes or {}
            alone = not any(_touch(token, other) for other in texts) and not texts[token] & lib.LLAMA_TOKEN_ATTR_RSTRIP
            self._clear[token] = alone
        return self._clear[token]


def _attributes(vocab: Any) -> dict[bytes, int]:
    texts: dict[bytes, int] = {}
    for token in range(lib.llama_vocab_n_tokens(vocab)):
        attributes = lib.llama_vocab_get_attr(vocab, token)
        if attributes & SOUGHT and (text := lib.llama_vocab_get_text(vocab, token)):
            texts[text] = texts.get(text, 0) | attributes
    return texts


def _touch(token: bytes, other: bytes) -> bool:
    """Whether occurrences of both can share a byte; a token beside itself: whether two of it can."""
    if token != other and (token in other or other in token):
        return True
    return any(
        token.endswith(other[:size]) or other.endswith(token[:size]) for size in range(1, min(len(token), len(other)))
    )
