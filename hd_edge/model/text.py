"""From token ids to text: pieces of a stream, and a detokenizer that remembers the bytes of each token."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llama_cpp import llama_cpp as lib
from llama_cpp.llama_tokenizer import LlamaTokenizer

from hd_edge.backend.control_tokens import Cuts
from hd_edge.backend.tokens import token_bytes, token_ids, tokens_of


@dataclass(frozen=True)
class Piece:
    """One token of a text stream.

    Attributes:
        text: The characters this token completed; empty while a multi-byte character is unfinished.
        token: Token id.
        tier: Where the token came from: ``"context"``, ``"model"``, ``"statistics"``, ``"drafter"``, or ``"target"`` if
            not drafted.
    """

    text: str
    token: int
    tier: str


def up_to(text: str, marks: Sequence[str], ended: bool = False) -> tuple[str, str, bool]:
    """Cuts a text before the first of several marks.

    Args:
        text: As far as it is known.
        marks: What ends it.
        ended: No more of it comes.

    Returns:
        The text before the mark, what is left, and True; without a mark what is certain to hold none, what may begin
        one, and False.
    """
    places = [place for mark in marks if (place := text.find(mark)) >= 0]
    held = 0 if ended else max((_begun(text, mark) for mark in marks), default=0)
    at = min(places, default=len(text) - held)
    return text[:at], text[at:], bool(places)


def _begun(text: str, mark: str) -> int:
    """How many characters at the end may begin a mark."""
    longest = min(len(mark) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if mark.startswith(text[-n:])), 0)


class PieceTokenizer(LlamaTokenizer):  # type: ignore[misc]
    """llama_cpp's tokenizer with a table of token bytes.

    ``Llama._create_completion`` detokenizes the whole completion again for every token; with the table that is one
    ``bytes.join`` instead of a call into llama.cpp per token. The bytes are the same.
    """

    def __init__(self, llama: Any) -> None:
        super().__init__(llama)
        self._read = llama._life.read
        self._pieces: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self._bos = self._model.token_bos()
        self._cuts = Cuts()

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = True) -> list[int]:
        """As llama_cpp, which makes an array of the trained context for it: gigabytes where a file says so."""
        return list(self._read(tokens_of, self._model.vocab, text, add_bos, special, self._cuts))

    def detokenize(self, tokens: Any, prev_tokens: list[int] | None = None, special: bool = False) -> bytes:  # noqa: ARG002
        """Bytes of tokens; a leading space after a beginning-of-sequence token is dropped, as llama_cpp does.

        Raises:
            TokenError: Something else than ids, or an id outside the vocabulary.
        """
        pieces = self._pieces[bool(special)]
        if not isinstance(tokens, (list, tuple)):
            tokens = self._ids(tokens)
        try:
            text = b"".join([pieces[token] for token in tokens])
        except (KeyError, TypeError):
            tokens = self._ids(tokens)
            for token in [token for token in tokens if token not in pieces]:
                pieces[token] = self._read(token_bytes, self._model.vocab, token, special)
            text = b"".join([pieces[token] for token in tokens])
        return text[1:] if tokens and tokens[0] == self._bos and text[:1] == b" " else text

    def _ids(self, tokens: Any) -> list[int]:
        return token_ids(tokens, int(self._read(lib.llama_vocab_n_tokens, self._model.vocab)))


class PieceStream:
    """Turns token bytes into text; an unfinished character waits, invalid bytes are dropped, as llama_cpp does."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")

    def feed(self, data: bytes) -> str:
        """Characters that are complete now."""
        return self._decoder.decode(data)

    def end(self) -> str:
        """What an unfinished last character decodes to."""
        return self._decoder.decode(b"", final=True)
