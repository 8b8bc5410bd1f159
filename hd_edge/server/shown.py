"""What a message shows of a value."""

from __future__ import annotations

from typing import Any

MOST_SHOWN = 60  # characters of a wrong value


def shown(value: Any) -> str:
    """The beginning of a value, for a message."""
    text = repr(value[:MOST_SHOWN] if isinstance(value, (str, list)) else value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
