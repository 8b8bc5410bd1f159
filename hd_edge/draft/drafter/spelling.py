"""Spelling: text as the tokens of one vocabulary, whatever stands before and behind it.

Two vocabularies meet as bytes. A text that grows is spelled anew from its last border only: a space between something
else than a space and a letter, where no tokenizer joins what stands on both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_cpp import llama_cpp as lib

from hd_edge.backend.tokens import token_bytes
from hd_edge.model.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FARTHEST = 16  # tokens between the text's end and the border behind which it is spelled anew


class Spelling:
    """One vocabulary.

    Args:
        model: ``llama_model*`` as llama_cpp holds it; must outlive this object.
    """

    def __init__(self, model: Any) -> None:
        self._vocab = lib.llama_model_get_vocab(model)
        self._vocabulary = Vocabulary(model)
        self._pieces: dict[int, bytes] = {}
        self.puts_space_first = self._vocabulary.puts_space_first

    def table(self) -> bytes:
        """Every token's text, score and attributes: equal for equal vocabularies."""
        return self._vocabulary.table()

    def piece(self, token: int) -> bytes:
        """Bytes of a token; empty for control tokens."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = token_bytes(self._vocab, token, special=False)
        return known

    def text(self, tokens: Iterable[int]) -> bytes:
        """Bytes of tokens."""
        return b"".join(map(self.piece, tokens))

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return bool(lib.llama_vocab_is_eog(self._vocab, token))

    def spell(self, text: bytes) -> list[int] | None:
        """Tokens of a text of whole characters inside a longer one; None where the vocabulary cannot spell it."""
        if not text:
            return []
        tokens = self._vocabulary.encode_inside(text.decode("utf-8", "surrogateescape"))
        return tokens if self.text(tokens) == text else None


class Spelled:
    """A text that grows and is taken back, with its tokens.

    Attributes:
        text: The text.
        tokens: Its tokens.
    """

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self.text = b""
        self.tokens: list[int] = []
        self._ends: list[int] = []  # where each of them ends in the text

    def become(self, text: bytes, same: int = 0) -> bool:
        """The text is now another one.

        Args:
            text: Whole characters.
            same: Bytes at its beginning that are known to be those of the text before.

        Returns:
            False where the vocabulary cannot spell it: the text is as before.
        """
        same = common(self.text, text, min(same, len(self.text), len(text)))
        if same == len(text) == len(self.text):
            return True
        keep = border(text, self._ends, same)
        start = self._ends[keep - 1] if keep else 0
        tokens = self._spelling.spell(text[start:])
        if tokens is None:
            return False
        del self.tokens[keep:], self._ends[keep:]
        for token in tokens:
            start += len(self._spelling.piece(token))
            self.tokens.append(token)
            self._ends.append(start)
        self.text = text
        return True


def common(first: bytes, second: bytes, same: int) -> int:
    """Bytes at the beginning that two texts share, ``same`` of which are known."""
    if second.startswith(first):
        return len(first)
    most = min(len(first), len(second))
    while same < most and first[same] == second[same]:
        same += 1
    return same


def border(text: bytes, ends: Sequence[int], most: int) -> int:
    """How many of the tokens that end at these places stay, where the text is the same for ``most`` bytes.

    Behind them stands a space with a letter behind it and no space before it; where there is no such place among the
    last tokens, a character begins behind them.
    """
    last = len(ends)
    while last and ends[last - 1] > most:
        last -= 1
    for keep in range(last, max(last - FARTHEST, 0), -1):
        at = ends[keep - 1]
        if text[at : at + 1] == b" " != text[at - 1 : at] and is_letter(text[at + 1 : at + 2]):
            return keep
    if last <= FARTHEST:
        return 0
    keep = last - FARTHEST
    while keep and (cut := ends[keep - 1]) < len(text) and text[cut] & 0xC0 == 0x80:  # within a character
        keep -= 1
    return keep


def is_letter(byte: bytes) -> bool:
    """Whether a letter of ASCII, or a character of several bytes, begins with it."""
    return byte.isalpha() or byte >= b"\x80"


def whole(text: bytes) -> int:
    """Bytes of a text without the character that it ends in the middle of."""
    for back in range(1, min(len(text), 3) + 1):
        byte = text[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(text) - back if length > back else len(text)
    return len(text)
