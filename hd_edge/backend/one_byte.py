"""Tokens of one byte each: with them a grammar is asked about text, whatever the tokenizer makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tokens import CANDIDATE, token_bytes


class OneByteTokens:
    """Tokens of one byte, and the end-of-generation token, as candidates for a grammar.

    Args:
        llama: A loaded ``llama_cpp.Llama``; its whole vocabulary is read once (0.1 s for 50,000 tokens).
    """

    def __init__(self, llama: Any) -> None:
        self.vocab = llama._model.vocab
        model = llama._model  # not llama, which keeps these tokens: a cycle would outlive `del llm`
        self.tokenize: Callable[[bytes], list[int]] = lambda text: model.tokenize(text, False, False)
        found: dict[int, int] = {}
        for token in range(llama.n_vocab()):
            piece = self.piece(token)
            if len(piece) == 1:
                found.setdefault(piece[0], token)
        self.of_byte = dict(found)
        if (end := llama.token_eos()) >= 0:
            found[-1] = end
        self.values = np.array(list(found), np.int32)  # -1: the end
        self.candidates = np.zeros(len(found), CANDIDATE)
        self.candidates["id"] = list(found.values())

    @classmethod
    def of(cls, llama: Any) -> OneByteTokens:
        """Those of a model, read at first use."""
        tokens: OneByteTokens | None = llama.__dict__.get("_one_byte_tokens")
        if tokens is None:
            tokens = llama._one_byte_tokens = cls(llama)
        return tokens

    def piece(self, token: int) -> bytes:
        """Bytes of a token; empty for control tokens."""
        return token_bytes(self.vocab, token, special=False)
