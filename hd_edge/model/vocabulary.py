"""The tokenizer of a loaded model, for work on plain text: corpora, export, import."""

from __future__ import annotations

import ctypes
import hashlib
from typing import TYPE_CHECKING, Any

from llama_cpp import llama_cpp as lib

from hd_edge import _native
from hd_edge.backend.tokens import token_bytes, tokenizable

from .identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

_FUNCTIONS = ("llama_vocab_get_text", "llama_vocab_get_score", "llama_vocab_get_attr", "llama_tokenize")

SPECIAL_IDS = (
    *("bos", "eos", "eot", "sep", "nl", "pad", "mask"),
    *("fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep"),
    *("get_add_bos", "get_add_eos", "get_add_sep"),
)
SHAPE = (
    *("block_count", "embedding_length", "feed_forward_length", "context_length", "expert_count"),
    *("attention.head_count", "attention.head_count_kv"),
)


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
        self.puts_space_first = self.decode(self.encode("a")) == " a"

    def table(self) -> bytes:
        """Every token's text, score and attributes."""
        return self.native.table()

    def encode(self, text: str) -> list[int]:
        """Tokens of plain text."""
        return [int(token) for token in self.native.tokenize(self.tokenizable(text.encode("utf-8", "surrogateescape")))]

    def tokenizable(self, text: bytes) -> bytes:
        """A text that the native side can tokenize: see ``hd_edge.backend.tokens``."""
        return tokenizable(self._vocab, text)

    def encode_inside(self, text: str) -> list[int]:
        """Tokens of a text that stands somewhere inside a longer one: without the space SentencePiece puts first."""
        if self.puts_space_first and text.startswith(" ") and len(text) > 1:
            return self.encode(text[1:])
        tokens = self.encode(text)
        if self.puts_space_first and tokens:
            if self._piece(tokens[0]) == b" ":
                return tokens[1:]
            behind, first = self.encode("\n" + text), b""  # nothing joins a new line
            for at, token in enumerate(behind):
                if first == b" \n":
                    return behind[at:]
                first += self._piece(token)
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


def identify(model: Any) -> Identity:
    """Identity of a loaded model.

    Args:
        model: ``llama_model*`` as llama_cpp holds it (``Llama.model``).
    """
    vocabulary = Vocabulary(model)
    tokenizer = hashlib.sha256(vocabulary.table())
    vocab = lib.llama_model_get_vocab(model)
    ids = [getattr(lib, f"llama_vocab_{name}")(vocab) for name in SPECIAL_IDS]
    about = [lib.llama_vocab_type(vocab), vocabulary.n_tokens, *map(int, ids), metadata(model, "tokenizer.ggml.pre")]
    tokenizer.update(repr(about).encode())
    kind = metadata(model, "general.architecture")
    shape = [kind, *(metadata(model, f"{kind}.{name}") for name in SHAPE)]
    return Identity(
        tokenizer=tokenizer.hexdigest(),
        architecture=hashlib.sha256(repr(shape).encode()).hexdigest(),
        n_vocab=vocabulary.n_tokens,
        name=metadata(model, "general.name") or kind or "unnamed",
    )
