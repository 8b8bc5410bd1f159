"""The tokenizer of a loaded model, for work on plain text: corpora, export, import."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_cpp import llama_cpp as lib

from hd_edge import _native
from hd_edge.backend.log import captured_log
from hd_edge.backend.tokens import token_bytes
from hd_edge.errors import ModelFileError

from .gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FUNCTIONS = ("llama_vocab_get_text", "llama_vocab_get_score", "llama_vocab_get_attr", "llama_tokenize")


class Vocabulary:
    """Tokens to text and back, without special tokens.

    Args:
        model: ``llama_model*`` as llama_cpp holds it; must outlive this object.
    """

    def __init__(self, model: Any) -> None:
        self._vocab = lib.llama_model_get_vocab(model)
        addresses = {name: ctypes.cast(getattr(lib._lib, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS}
        pointer = ctypes.cast(self._vocab, ctypes.c_void_p).value or 0
        self.native = _native.Vocabulary(addresses, pointer, int(lib.llama_vocab_n_tokens(self._vocab)))
        self.n_tokens = self.native.n_tokens
        self._puts_space_first = self.decode(self.encode("a")) == " a"

    def table(self) -> bytes:
        """Every token's text, score and attributes."""
        return self.native.table()

    def encode(self, text: str) -> list[int]:
        """Tokens of plain text."""
        return [int(token) for token in self.native.tokenize(text.encode("utf-8", "surrogateescape"))]

    def encode_inside(self, text: str) -> list[int]:
        """Tokens of a text that stands somewhere inside a longer one: without the space SentencePiece puts first."""
        tokens = self.encode(text)
        if self._puts_space_first and tokens:
            if text.startswith(" "):
                return self.encode(text[1:])
            if self._piece(tokens[0]) == b" ":
                return tokens[1:]
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of tokens; bytes that are no UTF-8 (half a character) come back as lone surrogates."""
        pieces = b"".join(self._piece(token) for token in tokens)
        return pieces.decode("utf-8", "surrogateescape")

    def _piece(self, token: int) -> bytes:
        return token_bytes(self._vocab, token, special=True)


def metadata(model: Any, key: str) -> str:
    """A value of the GGUF header as text; empty if it is not there."""
    buffer = ctypes.create_string_buffer(256)
    size = lib.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return "" if size < 0 else buffer.value.decode("utf-8", "replace")


@contextmanager
def vocabulary_of(model_path: str | Path) -> Iterator[Any]:
    """Loads only the tokenizer of a GGUF file; yields ``llama_model*``.

    Raises:
        ModelFileError: The file is no GGUF, or llama.cpp cannot load it.
    """
    read_header(model_path)
    params = lib.llama_model_default_params()
    params.vocab_only = True
    with captured_log():
        lib.llama_backend_init()
        model = lib.llama_model_load_from_file(os.fsencode(model_path), params)
    if not model:
        msg = f"{os.fspath(model_path)}: llama.cpp cannot load a tokenizer from this file"
        raise ModelFileError(msg)
    try:
        yield model
    finally:
        lib.llama_model_free(model)
