"""The colours of the tiers, for everything that shows where a token came from: terminal, pages, plots.

``web/tiers.css`` is served as it stands and repeats them; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """One tier's colour.

    Attributes:
        light: On a light page or plot.
        dark: On a dark page.
        terminal: The colour of that hue among a terminal's own, which suit its background.
        shapes: What tells it apart in a terminal without colours, in the words of click and rich.
        meaning: Where tokens of the tier come from, for legends.
    """

    light: str
    dark: str
    terminal: str
    shapes: tuple[str, ...]
    meaning: str

    @property
    def style(self) -> dict[str, bool]:
        """The shapes as keyword arguments of ``click.style``."""
        return dict.fromkeys(self.shapes, True)


COLOURS = {
    "context": Colour("#0b7d70", "#4fd6c3", "cyan", ("underline",), "stood in this conversation before"),
    "model": Colour("#8a3fb0", "#d49bf0", "magenta", ("bold",), "written by this model before"),
    "statistics": Colour("#a86400", "#f0b95a", "yellow", ("italic",), "frequent in a large corpus"),
    "drafter": Colour("#b3325a", "#ff9db8", "red", ("underline", "italic"), "proposed by the small model"),
}
PLAIN = "not drafted"  # what has no colour: the target alone


def css() -> str:
    """Declarations of ``--context`` and the others, for a page that follows the reader's light or dark setting."""
    return " ".join(f"--{tier}: light-dark({colour.light}, {colour.dark});" for tier, colour in COLOURS.items())
