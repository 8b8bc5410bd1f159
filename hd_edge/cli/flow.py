"""Text that arrives in pieces, shown in a terminal with rich: wrapped between words, Markdown rendered.

What is complete is printed once and scrolls away as any other output; the block that still grows (a paragraph, a list,
a piece of code) is drawn again in place. So nothing stands twice in the scrollback, however long an answer gets.
"""

from __future__ import annotations

import sys
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.segment import Segment, SegmentLines
from rich.style import Style
from rich.theme import Theme

from hd_edge.tiers.colours import COLOURS

from .blocks import Block, MarkdownBlocks, StyledLines
from .foreign import shown

EVERY = 0.07  # seconds between two drawings
SHARE = 0.1  # of the time that drawing may take, so that a long piece of code does not slow its model down
WIDEST = 100  # columns: longer lines are hard to read
STYLES = {
    **{tier: Style.parse(" ".join((*colour.shapes, colour.terminal))) for tier, colour in COLOURS.items()},
    "markdown.code": Style(color="cyan"),  # rich's own has a black background, also on a light terminal
    "markdown.h1": Style(bold=True, underline=True),
    "markdown.h2": Style(bold=True),
}


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
        self._source = MarkdownBlocks() if markdown else StyledLines()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="visible",
        )
        self._live.start()
        self._due = 0.0  # when to draw again
        self._begun = False  # a block is complete
        self._printed = 0  # lines of the growing block that have been printed, as it is taller than the terminal

    def feed(self, text: str, style: str) -> None:
        """Shows more text, at the latest with the next piece."""
        self._source.feed(text, style)
        if (now := monotonic()) >= self._due:
            self._draw(ended=False)
            took = monotonic() - now
            self._due = now + max(EVERY, took / SHARE)

    def close(self) -> None:
        """Shows what is left."""
        try:
            self._draw(ended=True)
        finally:
            self._live.stop()

    def _draw(self, *, ended: bool) -> None:
        blocks = self._source.take(ended=ended)
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
        with self._console:  # one write
            self._live.update(SegmentLines(live, new_lines=True), refresh=True)
            if done:
                self._console.print(SegmentLines(done, new_lines=True), end="")  # above what is live

    def _lines(self, block: Block) -> list[list[Segment]]:
        options = self._console.options.update(width=min(self._console.width, WIDEST), height=None)
        rendered = self._console.render_lines(block.shown, options, pad=False)
        lines = [_stripped([_safe(segment) for segment in line]) for line in rendered]
        if block.trimmed:
            full = [number for number, line in enumerate(lines) if line] or [0]
            lines = lines[full[0] : full[-1] + 1]
        return [[], *lines] if block.apart and self._begun else lines


def _safe(segment: Segment) -> Segment:
    """Without what is unsafe in a terminal: a text that had none may have had entities of it, as ``&#x202e;``."""
    return segment if segment.control else Segment(shown(segment.text), segment.style)


def _stripped(line: list[Segment]) -> list[Segment]:
    """Without blanks at the end, which would be copied along, and wrap when the window gets narrower."""
    while line and not line[-1].text.strip() and not (line[-1].style and line[-1].style.bgcolor):
        line = line[:-1]
    if line and line[-1].text.endswith(" "):
        line = [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)]
    return line
