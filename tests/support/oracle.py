"""A drafter that knows the text: what alignment makes of right words, whatever the two vocabularies are."""

from __future__ import annotations


class Oracle:
    """Stands where ``Reader`` stands; says the next piece of a text, as the drafter's vocabulary has it.

    Args:
        spelling: The drafter's vocabulary.
        text: The whole text, as the drafter reads it.
        others: Tokens that it offers after the right one.
    """

    seconds = 0.0
    reads = 0
    opening = ()

    def __init__(self, spelling, text: bytes, others=()) -> None:
        self._spelling, self._text, self._others = spelling, text, others
        self.asked: list[bytes] = []

    def within(self, function):
        """Nobody else asks."""
        return function()

    def begin(self, length: int) -> None:
        """A text comes."""

    def read(self, tokens):
        """The token that begins what follows the tokens' text."""
        self.reads += 1
        known = self._spelling.text(tokens)
        self.asked.append(known)
        rest = self._text[len(known) :]
        if not self._text.startswith(known) or not rest:
            return []
        spelled = self._spelling.spell(rest)
        return [(spelled[0], 0.9), *((token, 0.05) for token in self._others)] if spelled else []
