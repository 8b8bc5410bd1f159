"""Bytes of tokens, text that tokenizers take, and how many tokens it has at least: llama.cpp trusts its caller."""

from __future__ import annotations

import ctypes
import re
from typing import Any

from llama_cpp import llama_cpp as lib

from hd_edge.errors import ContextFullError, TokenError

from .control_tokens import Cuts

PLENTY = 8  # bytes per token: shorter prompts are tokenized without asking for the longest token
LONGEST = 1024  # bytes per token where the tokenizer drops text that no token stands for
KEEPS_ALL = (1, 2)  # vocabulary types (SentencePiece, byte pairs) that spell every byte of a text
READS_BYTES = (1, 5)  # vocabulary types (SentencePiece, RWKV) that do not decode characters
BEYOND = re.compile(rb"(?:\xf4[\x90-\xbf]|[\xf5-\xf7][\x80-\xbf])[\x80-\xbf]{2}")  # characters above U+10FFFF
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


def tokenizable(vocab: Any, text: bytes) -> bytes:
    """A text that ``llama_tokenize`` can take.

    llama.cpp reads stray bytes as U+FFFD, but decodes four bytes that spell a character above U+10FFFF, and throws
    through the C border when it spells it again, which ends the process. They become U+FFFD, too.

    Args:
        vocab: ``llama_vocab*``.
        text: Any bytes.
    """
    if BEYOND.search(text) is None or lib.llama_vocab_type(vocab) in READS_BYTES:
        return text
    return BEYOND.sub(REPLACEMENT, text)


def token_ids(tokens: Any, n_vocab: int) -> list[int]:
    """Token ids as a list.

    Args:
        tokens: Any that can be gone through.
        n_vocab: Tokens of the vocabulary.

    Raises:
        TokenError: Something else than ids, or an id outside the vocabulary.
    """
    try:
        ids = [int(token) for token in tokens]
    except (TypeError, ValueError, OverflowError):
        msg = f"tokens must be token ids or a string, got {type(tokens).__name__} {str(tokens)[:40]!r}"
        raise TokenError(msg) from None
    wrong = next((token for token in ids if not 0 <= token < n_vocab), None)
    if wrong is not None:
        msg = f"token id {wrong} is outside the vocabulary of {n_vocab}: tokenize with this model"
        raise TokenError(msg)
    return ids


def tokens_of(vocab: Any, text: bytes, add_bos: bool, special: bool, cuts: Cuts | None = None) -> list[int]:
    """Token ids of a text.

    Args:
        vocab: ``llama_vocab*``.
        text: Any bytes, read as UTF-8; see ``tokenizable``.
        add_bos: Whether a beginning-of-sequence token comes first, where the model has one.
        special: Whether control tokens are read as such.
        cuts: Of this vocabulary; texts of many control tokens take seconds without.

    Raises:
        TokenError: llama.cpp cannot tokenize it.
    """
    text = tokenizable(vocab, text)
    if cuts is None or not special:
        return _read(vocab, text, add_bos, special)
    first, *more = cuts.pieces(vocab, text, add_bos)
    tokens = _read(vocab, first, add_bos, special)
    for piece in more:
        tokens += _read(vocab, piece, False, special)
    return tokens


def _read(vocab: Any, text: bytes, add_bos: bool, special: bool) -> list[int]:
    room = len(text) + 2
    while True:
        ids = (lib.llama_token * room)()
        found = int(lib.llama_tokenize(vocab, text, len(text), ids, room, add_bos, special))
        if found >= 0:
            return list(ids[:found])
        if -found <= room:
            msg = f"llama_tokenize returned {found} for {len(text)} bytes, at least 0 is expected"
            raise TokenError(msg)
        room = -found


def token_bytes(vocab: Any, token: int, special: bool) -> bytes:
    """Bytes of a token.

    Args:
        vocab: ``llama_vocab*``.
        token: Token id.
        special: False: control tokens have none.

    Raises:
        TokenError: The id is outside the vocabulary; llama.cpp would end the process.
    """
    n_vocab = int(lib.llama_vocab_n_tokens(vocab))
    if not 0 <= token < n_vocab:
        msg = f"token id {token} is outside the vocabulary of {n_vocab}: tokenize with this model"
        raise TokenError(msg)
    buffer = ctypes.create_string_buffer(64)
    size = int(lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, special))
    if size < 0:  # the size it needs
        buffer = ctypes.create_string_buffer(-size)
        size = int(lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, special))
    return buffer.raw[: max(size, 0)]


class PromptSize:
    """Refuses texts that cannot fit the context window however they are tokenized, before that takes seconds.

    Args:
        vocab: ``llama_vocab*``.
        n_ctx: Tokens of the context window.
    """

    def __init__(self, vocab: Any, n_ctx: int) -> None:
        self._vocab, self._n_ctx = vocab, n_ctx
        self._longest = 0  # bytes; read when a text is long

    def check(self, size: int) -> None:
        """Checks a text of at least so many bytes.

        Raises:
            ContextFullError: It has more tokens than the context window, at the longest token's length.
        """
        if size <= self._n_ctx * PLENTY:
            return
        self._longest = self._longest or self._read_longest()
        if size > self._n_ctx * self._longest:
            msg = (
                f"the prompt has {size} bytes or more, at least {size // self._longest} tokens, the context window "
                f"{self._n_ctx}: shorten it, or load with a larger n_ctx"
            )
            raise ContextFullError(msg)

    def _read_longest(self) -> int:
        if lib.llama_vocab_type(self._vocab) not in KEEPS_ALL:
            return LONGEST
        tokens = range(int(lib.llama_vocab_n_tokens(self._vocab)))
        return max(len(token_bytes(self._vocab, token, special=True)) for token in tokens) or 1
