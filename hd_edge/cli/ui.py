"""Everything that looks good in a terminal. All of rich is used here, and nothing breaks without it.

Drafted tokens are coloured by tier and also differ in weight and underline, so that they can be told apart without
colour (``NO_COLOR``). Nothing is styled where stdout is no terminal.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

STYLES: dict[str, dict[str, Any]] = {  # click.style's words; rich takes the same
    "target": {},
    "context": {"fg": "cyan", "underline": True},
    "model": {"fg": "magenta", "bold": True},
    "statistics": {"fg": "yellow", "italic": True},
    "drafter": {"fg": "green", "underline": True, "italic": True},
}


class UI:
    """Output of one verb: model text on stdout, everything else on stderr.

    Args:
        styled: Style the output; None: if stdout is a terminal.
    """

    def __init__(self, styled: bool | None = None) -> None:
        self.styled = sys.stdout.isatty() if styled is None else styled
        self.coloured = self.styled and not os.environ.get("NO_COLOR")

    def piece(self, text: str, tier: str = "target") -> None:
        """Prints a piece of model text at once, in the style of its tier."""
        click.echo(self._style(text, **STYLES[tier]), nl=False, color=self.styled)
        sys.stdout.flush()

    def line(self) -> None:
        """Ends a line of model text."""
        click.echo()

    def note(self, text: str) -> None:
        """Prints a remark to stderr."""
        click.echo(self._style(text, dim=True) if sys.stderr.isatty() else text, err=True, color=self.styled)

    def legend(self) -> str:
        """Names of the tiers in their own styles."""
        return " ".join(self._style(tier, **style) for tier, style in STYLES.items() if style)

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

    def _style(self, text: str, **style: Any) -> str:
        if not self.styled or not style or not text.strip():
            return text
        if not self.coloured:
            style.pop("fg", None)
        return click.style(text, **style)
