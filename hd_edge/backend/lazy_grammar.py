"""A grammar that begins when the model begins what it is for, such as a call of a tool.

llama.cpp has lazy grammars too (``llama_sampler_init_grammar_lazy_patterns``), but throws through the C border where
the token that completes the trigger goes on with text that the grammar does not allow; here such a text stays free.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from llama_cpp import LlamaGrammar
from llama_cpp import llama_cpp as lib

from .grammar import allows
from .one_byte import OneByteTokens
from .tokens import CANDIDATE, token_bytes

LOOKED_AT = 256  # last bytes of the text that a trigger is searched in
THOUGHT, THOUGHT_ENDS = b"<think>", b"</think>"


class LazyGrammar(LlamaGrammar):  # type: ignore[misc]
    """A grammar of what follows a trigger.

    Args:
        text: GBNF of what follows it, with a rule ``root``.
        trigger: What to look for in the bytes of the answer, thoughts left out.
        thinking: The answer begins within thoughts.
    """

    def __init__(self, text: str, trigger: re.Pattern[bytes], *, thinking: bool = False) -> None:
        super().__init__(_grammar=text)
        self.trigger, self.thinking = trigger, thinking


class Waiting:
    """Follows the tokens of one generation until its grammar begins.

    Args:
        tokens: One-byte tokens of the vocabulary.
        grammar: What is waited for.
    """

    def __init__(self, tokens: OneByteTokens, grammar: LazyGrammar) -> None:
        self._tokens, self._grammar = tokens, grammar
        self._text = b""
        self._thinking: bool | None = grammar.thinking or None  # None: it may yet begin to

    def feed(self, token: int) -> Any:
        """The generation drew this; gives a grammar sampler, the caller's to free, once the trigger is complete."""
        self._text += token_bytes(self._tokens.vocab, token, special=True)
        if self._thinks():
            return None
        found = self._grammar.trigger.search(self._text, max(0, len(self._text) - LOOKED_AT))
        if found is None:
            return None
        rest, self._text = self._text[found.end() :], b""
        return self._begin(rest)

    def _thinks(self) -> bool:
        if self._thinking is None:
            start = self._text.lstrip()
            if THOUGHT.startswith(start):
                return True  # nothing yet, or a part of the tag
            self._thinking = start.startswith(THOUGHT)
        if self._thinking:
            _, end, behind = self._text.partition(THOUGHT_ENDS)
            if not end:
                return True
            self._text, self._thinking = behind, False
        return False

    def _begin(self, rest: bytes) -> Any:
        """The grammar behind the text that its trigger's last token had beyond it; None if it does not allow that."""
        text, root = self._grammar._grammar.encode("utf-8"), self._grammar._root.encode("utf-8")
        sampler = lib.llama_sampler_init_grammar(self._tokens.vocab, text, root)
        one = np.zeros(1, CANDIDATE)
        for byte in rest:
            one["id"] = token = self._tokens.of_byte.get(byte, -1)
            if token < 0 or not allows(sampler, one)[0]:
                lib.llama_sampler_free(sampler)
                return None
            lib.llama_sampler_accept(sampler, token)
        return sampler
