"""Blocks of a text that grows: all but the last are complete, and never change again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import RenderableType, RenderResult
from rich.markdown import Heading, Markdown
from rich.text import Text

# A last line that may become anything: "2" goes on with a list once a point follows, "-" may be an item or a rule.
BEGUN = re.compile(r"^[ \t]*(\d{1,9}[.)]?|[-+*=_~`#>|:]+)?[ \t]*\Z", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A part of a text.

    Attributes:
        shown: What rich prints.
        steady: Lines that were right stay so when the block grows; a table's columns do not.
        trimmed: Empty lines at its ends go.
        apart: One empty line stands between it and the block before.
    """

    shown: RenderableType
    steady: bool = True
    trimmed: bool = False
    apart: bool = False


class StyledLines:
    """Makes blocks of a text that grows: lines of pieces that have a style each."""

    def __init__(self) -> None:
        self._text = Text()

    def feed(self, text: str, style: str) -> None:
        """More text."""
        self._text.append(text, style)

    def take(self, *, ended: bool) -> list[Block]:  # noqa: ARG002
        """The lines that have come since; the last one is not complete, and comes again.

        Args:
            ended: There will be no more.
        """
        lines = list(self._text.split("\n", allow_blank=True))
        self._text = lines[-1].copy() if lines else Text()
        return [Block(line) for line in lines]


class _Heading(Heading):
    """A heading on the left, where the text is."""

    def __rich_console__(self, *_: object) -> RenderResult:
        yield self.text


class _Markdown(Markdown):
    elements: ClassVar = {**Markdown.elements, "heading_open": _Heading}


@dataclass(frozen=True)
class Part:
    """Tokens of a block, or of one item of a list: an item is complete when the next begins.

    Attributes:
        tokens: What the parser made of it.
        line: Where it begins.
        number: Of an item; 0: it is none.
        first: It is no further item of a list.
    """

    tokens: list[Token]
    line: int
    number: int = 0
    first: bool = True


class MarkdownBlocks:
    """As ``StyledLines``: paragraphs, items of lists, code and so on.

    What looks like HTML is text: a model that writes ``<b>`` means to show it.
    """

    def __init__(self) -> None:
        self._parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        self._parser.disable("reference")  # what a definition links to would be shown nowhere
        self._text = ""
        self._last = Part([], 0)  # which the text begins with

    def feed(self, text: str, style: str) -> None:  # noqa: ARG002
        """More text."""
        self._text += text

    def take(self, *, ended: bool) -> list[Block]:
        """Blocks of the top level, the last of which is not complete: the next line could belong to it."""
        text = self._text if ended else BEGUN.sub("", self._text)
        parts = list(self._parts(self._parser.parse(text)))
        if len(parts) > 1:
            self._last = parts[-1]
            self._text = self._text.split("\n", self._last.line)[self._last.line]  # the parser's lines, no others
        return [self._block(part) for part in parts]

    def _parts(self, tokens: list[Token]) -> Iterator[Part]:
        for block in _split(tokens, 0):
            if not block[0].type.endswith("list_open"):
                yield Part(block, _line(block))
                continue
            goes_on = block[0] is tokens[0] and self._last.number  # the text begins within a list
            number = self._last.number if goes_on else int(block[0].attrs.get("start", 1))
            for place, item in enumerate(_split(block[1:-1], 1)):
                opening = block[0].copy(attrs={"start": number + place})
                first = not place and not (goes_on and not self._last.first)
                yield Part([opening, *item, block[-1]], _line(item), number + place, first)

    def _block(self, part: Part) -> Block:
        for token in part.tokens:
            for child in token.children or ():
                if child.type == "softbreak":  # models mean their line breaks: verses, addresses
                    child.type = "hardbreak"
        markdown = _Markdown("", code_theme="ansi_dark", hyperlinks=False)
        markdown.parsed = part.tokens
        return Block(markdown, steady=part.tokens[0].type != "table_open", trimmed=True, apart=part.first)


def _split(tokens: list[Token], level: int) -> Iterator[list[Token]]:
    """What is whole at this level."""
    starts = [number for number, token in enumerate(tokens) if token.level == level and token.nesting >= 0]
    for start, end in pairwise([*starts, len(tokens)]):
        yield tokens[start:end]


def _line(tokens: list[Token]) -> int:
    return (tokens[0].map or [0])[0]
