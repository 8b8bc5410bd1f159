"""How the tiers look: one colour and one kind of line for each, in the terminal, on pages, and in pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Look:
    """How a tier's tokens are told apart; the lines tell it without colour, too.

    Attributes:
        light: Colour on a light page: on white its contrast is at least 4.5.
        dark: Colour on a dark page.
        line: CSS's style of the line below a token.
        terminal: ``click.style``'s words; rich takes the same.
    """

    light: str
    dark: str
    line: str
    terminal: dict[str, Any]


LOOKS = {
    "context": Look("#0b766a", "#4fd6c3", "solid", {"fg": "cyan", "underline": True}),
    "model": Look("#8a3fb0", "#d49bf0", "dashed", {"fg": "magenta", "bold": True}),
    "statistics": Look("#8f5600", "#f0b95a", "dotted", {"fg": "yellow", "italic": True}),
    "drafter": Look("#2a5fc4", "#8ab4ff", "double", {"fg": "bright_blue", "underline": True, "italic": True}),
}


def css() -> str:
    """Custom properties ``--context``, ``--context-line`` and so on; ``color-scheme`` chooses light or dark."""
    lines = []
    for tier, look in LOOKS.items():
        lines.append(f"  --{tier}: light-dark({look.light}, {look.dark});")
        lines.append(f"  --{tier}-line: {look.line};")
    return ":root {\n" + "\n".join(lines) + "\n}\n"
