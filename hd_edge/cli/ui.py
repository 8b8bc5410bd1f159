"""Everything that looks good in a terminal, and nothing that breaks without rich or a terminal.

Drafted tokens have their tier's colour and also differ in weight and underline, so that they can be told apart without
colour (``NO_COLOR``). Nothing is styled where stdout is no terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hd_edge.errors import printable
from hd_edge.tiers.colours import COLOURS, PLAIN

from .foreign import shown, write

if TYPE_CHECKING:
    from .flow import Flow

CHANGES = {"+": "green", "-": "red", "@": "cyan"}  # first character of a diff's line


class UI:
    """Output of one verb: model text on stdout, everything else on stderr.

    Args:
        styled: Style the output; None: if stdout is a terminal.
    """

    def __init__(self, styled: bool | None = None) -> None:
        self.styled = sys.stdout.isatty() if styled is None else styled
        self.coloured = self.styled and not os.environ.get("NO_COLOR")

    def answer(self, drafts: bool) -> Answer:
        """Where the pieces of an answer go.

        Args:
            drafts: Show the tier of each piece; else the text is read as Markdown.
        """
        return Answer(self, drafts)

    def note(self, text: str) -> None:
        """Prints a remark, which may name files, to stderr; in a terminal dimmed and wrapped between words."""
        text = printable(text.expandtabs())
        if sys.stderr.isatty():
            columns = max(shutil.get_terminal_size().columns, 20)
            lines = [part for line in text.splitlines() for part in textwrap.wrap(line, columns) or [""]]
            text = self.style("\n".join(lines), dim=True)
        click.echo(text, err=True, color=self.styled)

    def legend(self) -> None:
        """Prints which style means which tier."""
        for tier, colour in COLOURS.items():
            name = self.tier(tier, tier) + " " * (12 - len(tier))
            click.echo(f"  {name}{colour.meaning}", err=True, color=self.styled)
        click.echo(f"  {'plain':<12}{PLAIN}", err=True)

    def diff(self, lines: Sequence[str]) -> None:
        """Prints the lines of a diff to stderr; what cannot be seen, but for tabs, as escapes."""
        for line in lines:
            colour = CHANGES.get(line[:1])
            seen = "\t".join(printable(part).replace("\n", "\\n") for part in line.split("\t"))
            click.echo(self.style(seen, fg=colour) if colour else seen, err=True, color=self.styled)

    def table(self, title: str, header: list[str], rows: list[list[str]]) -> None:
        """Prints a table to stderr: with rich if there is one, else in plain columns."""
        if self.styled and sys.stderr.isatty():
            try:
                from rich.console import Console
                from rich.table import Table
            except ImportError:
                pass
            else:
                click.echo(title, err=True)
                table = Table()
                for number, name in enumerate(header):
                    table.add_column(name, justify="left" if number == 0 else "right")
                for row in rows:
                    table.add_row(*row)
                Console(stderr=True).print(table)
                return
        widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
        click.echo(title, err=True)
        for line in [header, *rows]:
            cells = [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
            click.echo("  " + "  ".join(cells).rstrip(), err=True)

    def tier(self, text: str, tier: str) -> str:
        """Text in the style of its tier."""
        return self.style(text, fg=COLOURS[tier].terminal, **COLOURS[tier].style) if tier in COLOURS else text

    def style(self, text: str, **style: Any) -> str:
        """Text with escape sequences, where there is a terminal that shows them."""
        if not self.styled or not style or not text.strip():
            return text
        if not self.coloured:
            style.pop("fg", None)
        return click.style(text, **style)


class Answer:
    """One answer, shown while it is made: its thoughts dimmed, then its text.

    With rich in a terminal the text is wrapped between words; else it is printed as it comes.

    Args:
        ui: How to style.
        drafts: Show the tier of each piece; else the text is read as Markdown.
    """

    def __init__(self, ui: UI, drafts: bool) -> None:
        self._ui, self._drafts = ui, drafts
        self._flow: Flow | None = None
        self._thinks = False
        self._begun = False

    def piece(self, text: str, tier: str = "target", *, thought: bool = False) -> None:
        """Shows a piece of model text at once. Thoughts are for a person: a pipe gets the answer alone."""
        if thought and not self._ui.styled:
            return
        if thought != self._thinks or not self._begun:
            self._next(thought)
        if not self._ui.styled:
            write(text)
            return
        text = shown(text)
        if self._flow is not None:
            self._flow.feed(text, tier if self._drafts else "dim" if thought else "")
            return
        text = self._ui.tier(text, tier) if self._drafts else self._ui.style(text, dim=True) if thought else text
        click.echo(text, nl=False, color=True)
        sys.stdout.flush()

    def close(self) -> None:
        """Ends the last line."""
        if self._flow is not None:
            self._flow.close()
            self._flow = None
        else:
            click.echo()

    def _next(self, thought: bool) -> None:
        """Begins the thoughts or the text."""
        if self._begun:
            self.close()
            click.echo()
        self._begun, self._thinks = True, thought
        if self._ui.styled:
            try:
                from .flow import Flow
            except ImportError:
                return
            self._flow = Flow(markdown=not self._drafts and not thought, coloured=self._ui.coloured)
