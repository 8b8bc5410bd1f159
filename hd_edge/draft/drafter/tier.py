"""DrafterTier: what a small model would say next, in the words of the target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hd_edge._native import Said

from .spelling import Spelled, border, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .reader import Reader
    from .spelling import Spelling

WIDTH = 6  # pieces that one reading offers
LEAST = 0.04  # chance below which a piece is not offered
BEHIND = 24  # tokens of the conversation's end that a draft may be spelled together with


@dataclass(frozen=True)
class Word:
    """What may stand behind the conversation.

    Attributes:
        path: The target's tokens before it, the first of them behind the conversation.
        token: The target's token.
        chance: Of the token after the path, as the drafter sees it.
        kind: How it follows from what the drafter said.
    """

    path: tuple[int, ...]
    token: int
    chance: float
    kind: Said


class DrafterTier:
    """Follows one conversation of the target with a small model of any vocabulary.

    Vocabularies meet as text: the drafter reads the conversation as it would spell it itself, and what it says is
    spelled as the target would. Where both are the same, ids are handed on as they are.

    Args:
        reader: The small model.
        drafter: Its vocabulary.
        target: The target's vocabulary.
        share: What reading a token costs of a forward of the target, until it was measured.
    """

    def __init__(self, reader: Reader, drafter: Spelling, target: Spelling, share: float = 0.05) -> None:
        self.reader = reader
        self.share = share
        self._drafter, self._target = drafter, target
        self._same = drafter.table() == target.table()
        self._ready = False  # to say something
        self._messages: list[dict[str, str]] | None = None
        self._prompt_tokens = 0
        self._head: list[int] = []  # the drafter's tokens before those of the text
        self._spelled = Spelled(drafter)
        self._tokens: list[int] = []  # the conversation, as the target spells it
        self._text = b""  # of the conversation behind the head
        self._before: list[int] = []  # the conversation's last tokens that a draft is spelled together with

    def converse(self, messages: list[dict[str, str]] | None, prompt_tokens: int) -> None:
        """A generation comes.

        Args:
            messages: The conversation, which the drafter then reads in its own chat template; None: it reads the text.
            prompt_tokens: Tokens of the target before the answer.
        """
        self._messages, self._prompt_tokens = messages, prompt_tokens
        self._tokens = []

    def begin(self, tokens: Sequence[int]) -> None:
        """The target's conversation is now ``tokens``."""
        self._ready = bool(self.reader.within(partial(self._begin, tokens)))

    def _begin(self, tokens: Sequence[int]) -> bool:
        start = min(self._prompt_tokens, len(tokens))
        template = None if self._messages is None else self.reader.template(self._messages)
        said = list(tokens[start:])
        if template is not None:
            self._head = template
        elif self._same:
            self._head = list(tokens[:start])
        else:
            self._head = list(self.reader.opening)
            said = list(tokens)
        self._text = b""
        self._spelled = Spelled(self._drafter)
        self._tokens = list(tokens[: len(tokens) - len(said)])
        self.append(said)
        if not self._same:
            self._spelled.become(self._text[: whole(self._text)])
        self.reader.begin(len(self._head) + (len(said) if self._same else len(self._spelled.tokens)))
        return True

    def append(self, tokens: Sequence[int]) -> None:
        """The target went on with these."""
        self._tokens += tokens
        if self._same:
            return
        new = self._target.text(tokens)
        if not self._text:  # an answer begins in the way of the drafter's template
            new = new.lstrip(b" ")
            if new and self._drafter.puts_space_first:
                new = b" " + new
        self._text += new
        self._before = self._settled(self._tokens[-BEHIND:])

    def _settled(self, last: list[int]) -> list[int]:
        """Those of the conversation's last tokens that may be spelled in another way by what follows."""
        ends: list[int] = []
        for at, token in reversed(list(enumerate(last))):
            if not self._target.piece(token):  # a control token
                last = last[at + 1 :]
                break
        for token in last:
            ends.append((ends[-1] if ends else 0) + len(self._target.piece(token)))
        return last[border(self._target.text(last) + b" a", ends[:-1], ends[-1]) :] if ends else []

    def say(self, path: Sequence[int]) -> list[Word]:
        """What may follow the conversation and ``path``, likeliest first; nothing where the drafter cannot tell."""
        words = self.reader.within(partial(self._say, path)) if self._ready else []
        self._ready = self._ready and words is not None  # one that fails says nothing more
        return words or []

    def _say(self, path: Sequence[int]) -> list[Word]:
        if self._same:
            said = self._tokens[self._prompt_tokens :] if self._messages is not None else self._tokens
            head = self._head if self._messages is not None else []
            found = self.reader.read([*head, *said, *path])
            kinds = [Said.first, *[Said.other] * len(found)]
            return [
                Word(tuple(path), token, chance, kind)
                for (token, chance), kind in zip(found[:WIDTH], kinds, strict=False)
                if chance >= LEAST
            ]
        drafted = self._target.text(path)
        text = self._text + drafted
        read = whole(text)
        if not self._spelled.become(text[:read], len(self._text)):
            return []
        if not self._head and not self._spelled.tokens:
            return []
        words: list[Word] = []
        for rank, (token, chance) in enumerate(self.reader.read([*self._head, *self._spelled.tokens])[:WIDTH]):
            piece, rest = self._drafter.piece(token), text[read:]
            if chance < LEAST:
                break
            if piece.startswith(rest) and len(piece) > len(rest) and not self._drafter.ends(token):
                words += self._spell(list(path), drafted, piece[len(rest) :], chance, rank == 0)
        return words

    def _spell(self, path: list[int], drafted: bytes, piece: bytes, chance: float, first: bool) -> list[Word]:
        """A piece of text behind the path, as the target spells it."""
        before, odd = self._before, False
        size = whole(drafted + piece) - len(drafted)
        if size <= 0:
            return []
        tokens = self._target.spell(self._target.text(before) + drafted + piece[:size])
        if tokens is None or tokens[: len(before)] != before:
            odd = True
            tokens = self._target.spell(piece[:size])
            if tokens is None:
                return []
            tokens = [*path, *tokens]
        else:
            tokens = tokens[len(before) :]
        same = 0
        while same < min(len(path), len(tokens)) and path[same] == tokens[same]:
            same += 1
        words = []
        for at in range(same, len(tokens)):
            begins = at == same
            kind = Said.inside if not begins else Said.first if at == len(tokens) - 1 else Said.opening
            if begins and not first:
                kind = Said.other
            if begins and (odd or same < len(path)):
                kind = Said.odd
            words.append(Word(tuple(tokens[:at]), tokens[at], chance if begins else 1.0, kind))
        return words
