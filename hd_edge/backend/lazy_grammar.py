"""A grammar that begins when the model begins what it is for, such as a call of a tool."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from llama_cpp import LlamaGrammar

from hd_edge import _native

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


class LazyMatcher:
    """Follows the tokens of one generation, as ``GrammarMatcher`` does; all are allowed until the grammar begins.

    Where the token that completes the trigger goes on with text that the grammar does not allow, the text stays free.

    Args:
        grammar: What is waited for.
        begin: Makes the matcher of what follows the trigger.
        piece: Bytes of a token, of control tokens too.
        of_byte: Tokens of one byte each.
        n_vocab: Size of the vocabulary.
    """

    def __init__(
        self,
        grammar: LazyGrammar,
        begin: Callable[[], _native.GrammarMatcher],
        piece: Callable[[int], bytes],
        of_byte: Mapping[int, int],
        n_vocab: int,
    ) -> None:
        self._trigger, self._begin, self._piece, self._of_byte = grammar.trigger, begin, piece, of_byte
        self._everything = b"\1" * n_vocab
        self._matcher: _native.GrammarMatcher | None = None
        self._text = b""
        self._thinking: bool | None = grammar.thinking or None  # None: it may yet begin to

    @property
    def waiting(self) -> bool:
        """Whether the grammar has not begun."""
        return self._matcher is None

    def allows(self, token: int) -> bool:
        """True if this token may come next."""
        return self._matcher is None or self._matcher.allows(token)

    def accept(self, token: int) -> bool:
        """The text goes on with a token; False if it is not allowed."""
        if self._matcher is not None:
            return self._matcher.accept(token)
        self._text += self._piece(token)
        if not self._thinks():
            found = self._trigger.search(self._text, max(0, len(self._text) - LOOKED_AT))
            if found is not None:
                rest, self._text = self._text[found.end() :], b""
                matcher = self._begin()
                if all(matcher.accept(self._of_byte.get(byte, -1)) for byte in rest):
                    self._matcher = matcher
        return True

    def mask(self) -> bytes:
        """A byte for each token: 1 if it may come next."""
        return self._everything if self._matcher is None else self._matcher.mask()

    def follow(self, most: int, choose: Callable[[bytes, bool], int]) -> None:
        """As ``GrammarMatcher.follow``; of a free text nothing is told."""
        if self._matcher is not None:
            self._matcher.follow(most, choose)

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
