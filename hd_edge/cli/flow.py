"""Text that arrives in pieces, shown in a terminal with rich: wrapped between words, Markdown rendered.

What is complete is printed once and scrolls away as any other output; the block that still grows (a paragraph, a list,
a piece of code) is drawn again in place. So nothing stands twice in the scrollback, however long an answer gets.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, Protocol

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Heading, Markdown
from rich.segment import Segment, SegmentLines
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from hd_edge.tiers.colours import COLOURS

from .ui import SHAPES

EVERY = 0.07  # seconds between two drawings
WIDEST = 100  # columns: longer lines are hard to read
STYLES = {
    **{tier: Style(color=colour.terminal, **SHAPES[tier]) for tier, colour in COLOURS.items()},
    "markdown.code": Style(color="cyan"),  # rich's own has a black background, also on a light terminal
    "markdown.h1": Style(bold=True, underline=True),
    "markdown.h2": Style(bold=True),
}


@dataclass(frozen=True)
class Block:
    """A part of a text.

    Attributes:
        shown: What rich prints.
        steady: Lines that were right stay so when the block grows; a table's columns do not.
        apart: One empty line stands between it and the block before.
    """

    shown: RenderableType
    steady: bool = True
    apart: bool = False


class Source(Protocol):
    """Makes blocks of a text that grows."""

    def feed(self, text: str, style: str) -> None:
        """More text."""
        ...

    def take(self) -> list[Block]:
        """The blocks that have come since; all but the last are complete, which comes again until it is."""
        ...


class StyledLines:
    """Lines of pieces that have a style each."""

    def __init__(self) -> None:
        self._text = Text()

    def feed(self, text: str, style: str) -> None:
        """More text."""
        self._text.append(text, style if style in STYLES or style == "dim" else "")

    def take(self) -> list[Block]:
        """Lines, the last of which is not complete."""
        lines = list(self._text.split("\n", allow_blank=True))
        self._text = lines[-1].copy() if lines else Text()
        return [Block(line) for line in lines]


class _Heading(Heading):
    """A heading on the left, where the text is."""

    def __rich_console__(self, *_: object) -> RenderResult:
        yield self.text


class _Markdown(Markdown):
    elements: ClassVar = {**Markdown.elements, "heading_open": _Heading}


class MarkdownBlocks:
    """Paragraphs, lists, code and so on. What looks like HTML is text: a model that writes ``<b>`` means to show it."""

    def __init__(self) -> None:
        self._parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        self._text = ""

    def feed(self, text: str, style: str) -> None:  # noqa: ARG002
        """More text."""
        self._text += text

    def take(self) -> list[Block]:
        """Blocks of the top level, the last of which is not complete: the next line could belong to it."""
        tokens = self._parser.parse(self._text)
        starts = [number for number, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
        if len(starts) > 1:
            begins = (tokens[starts[-1]].map or [0])[0]
            self._text = "".join(self._text.splitlines(keepends=True)[begins:])
        return [self._block(tokens[start:end]) for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True)]

    def _block(self, tokens: list[Token]) -> Block:
        for token in tokens:
            for child in token.children or ():
                if child.type == "softbreak":  # models mean their line breaks: verses, addresses
                    child.type = "hardbreak"
        markdown = _Markdown("", code_theme="ansi_dark", hyperlinks=False)
        markdown.parsed = tokens
        return Block(markdown, steady=tokens[0].type != "table_open", apart=True)


class Flow:
    """Shows a text on stdout while it grows.

    Args:
        markdown: Read it as Markdown; else pieces have styles.
        coloured: Use colours; else weight and underline alone.
    """

    def __init__(self, *, markdown: bool, coloured: bool) -> None:
        self._console = Console(
            file=sys.stdout, theme=Theme(STYLES), force_terminal=True, no_color=not coloured, highlight=False
        )
        self._source: Source = MarkdownBlocks() if markdown else StyledLines()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="visible",
        )
        self._live.start()
        self._drawn = 0.0
        self._begun = False  # a block is complete
        self._printed = 0  # lines of the growing block that have been printed, as it is taller than the terminal

    def feed(self, text: str, style: str) -> None:
        """Shows more text, at the latest with the next piece."""
        self._source.feed(text, style)
        if monotonic() - self._drawn >= EVERY:
            self._draw(ended=False)

    def close(self) -> None:
        """Shows what is left."""
        try:
            self._draw(ended=True)
        finally:
            self._live.stop()

    def _draw(self, *, ended: bool) -> None:
        blocks = self._source.take()
        growing = None if ended or not blocks else blocks.pop()
        done: list[list[Segment]] = []
        for block in blocks:
            done += self._lines(block)[self._printed :]
            self._printed, self._begun = 0, True
        live: list[list[Segment]] = []
        if growing is not None:
            lines, room = self._lines(growing), max(self._console.height - 2, 1)
            if growing.steady and len(lines) - self._printed > room:
                upto = len(lines) - room // 2 - 1
                done += lines[self._printed : upto]
                self._printed = upto
            live = lines[self._printed :][-room:]
        self._live.update(SegmentLines(live, new_lines=True))
        if done:
            self._console.print(SegmentLines(done, new_lines=True), end="")  # and what is live below it, in one write
        else:
            self._live.refresh()
        self._drawn = monotonic()

    def _lines(self, block: Block) -> list[list[Segment]]:
        options = self._console.options.update(width=min(self._console.width, WIDEST), height=None)
        lines = [_stripped(line) for line in self._console.render_lines(block.shown, options, pad=False)]
        if not block.apart:
            return lines
        full = [number for number, line in enumerate(lines) if line] or [0]
        return [[]] * self._begun + lines[full[0] : full[-1] + 1]


def _stripped(line: list[Segment]) -> list[Segment]:
    """Without blanks at the end, which would be copied along, and wrap when the window gets narrower."""
    while line and not line[-1].text.strip() and not (line[-1].style and line[-1].style.bgcolor):
        line = line[:-1]
    if line and line[-1].text.endswith(" "):
        line = [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)]
    return line
