"""Texts of a grammar, drawn character by character as a model would: the matcher says what may come next."""

from __future__ import annotations

import random

from hd_edge import _native
from hd_edge.backend.gbnf import parse

WIDE = "｜▁\x80é߿ࠀ€\u2028漢\ufeff￿𐀀😀\U0010ffff"  # edges of UTF-8, DeepSeek's marks
BYTES = [bytes([byte]) for byte in range(256)]
END = 256 + len(WIDE)
PIECES = _native.TokenPieces([*BYTES, *(c.encode() for c in WIDE), b""], [*[False] * END, True])
WHOLE = [*range(128), *range(256, END + 1)]  # tokens of whole characters
CLOSING = set(b'"]},:0123456789-')


def matcher_of(grammar: str) -> _native.GrammarMatcher:
    return _native.GrammarMatcher(parse(grammar, "root", lambda _: -1), PIECES)


def drawn(grammar: str, rng: random.Random, patience: int = 120, longest: int = 4000) -> str | None:
    """A text; behind some bytes it goes to its end as fast as it can. None if it does not find it."""
    matcher, text = matcher_of(grammar), bytearray()
    while True:
        mask = matcher.mask()
        allowed = [token for token in WHOLE if mask[token]]
        assert allowed, f"nothing may follow {bytes(text)!r}"
        if END in allowed and (len(allowed) == 1 or rng.random() < 0.3 or len(text) > patience):
            return text.decode("utf-8")
        allowed = [token for token in allowed if token != END]
        if len(text) > patience and rng.random() < 0.8:
            allowed = [token for token in allowed if token in CLOSING] or allowed
            allowed = [token for token in allowed if token == ord('"')] or allowed
        token = rng.choice(allowed)
        assert matcher.accept(token)
        text += BYTES[token] if token < 256 else WIDE[token - 256].encode()
        if len(text) > longest:
            return None


def takes(grammar: str, text: str) -> bool:
    """Is this a text of the grammar?"""
    matcher = matcher_of(grammar)
    return all(matcher.accept(byte) for byte in text.encode("utf-8")) and matcher.allows(END)
