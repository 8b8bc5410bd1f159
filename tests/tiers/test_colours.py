"""One source of the tiers' colours, and colours that a person can read."""

from __future__ import annotations

import re
from importlib.resources import files

import click
import pytest

from hd_edge.cli.ui import STYLES
from hd_edge.stats import TIERS
from hd_edge.tiers.colours import LOOKS, css

LIGHT, DARK = "#ffffff", "#1d2026"  # behind an answer of the chat page


def luminance(colour: str) -> float:
    """Relative luminance, as in WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_tier_has_a_look_of_its_own():
    assert tuple(LOOKS) == TIERS
    for part in ("light", "dark", "line"):
        assert len({getattr(look, part) for look in LOOKS.values()}) == len(TIERS)
    assert len({click.style("x", **STYLES[tier]) for tier in TIERS}) == len(TIERS)


@pytest.mark.parametrize("tier", TIERS)
def test_text_in_a_tiers_colour_is_readable(tier):
    assert contrast(LOOKS[tier].light, LIGHT) >= 4.5
    assert contrast(LOOKS[tier].dark, DARK) >= 4.5


def test_pages_name_no_colour_of_a_tier():
    properties = re.compile(rf"--({'|'.join(TIERS)}): *[#l]")
    assert len(properties.findall(css())) == len(TIERS)
    package = files("hd_edge")
    for page in (package / "data" / "explain.html", package / "web" / "style.css"):
        assert not properties.findall(page.read_text(encoding="utf-8")), page
