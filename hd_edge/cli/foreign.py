"""Text of a model, or of files that anybody made: safe in a terminal, and as it is in a pipe."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from hd_edge.errors import printable

# What moves a cursor, begins a command of terminals (ESC, and C1, where CSI, DCS and OSC are one character each), or
# turns the direction of the writing around it. Joiners and marks of direction stay: scripts and emoji need them.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Text for a terminal: without what is unsafe there."""
    return UNSAFE.sub("", text)


def one_line(text: str) -> str:
    """A name or a value for a person, in one line: what cannot be seen as escapes."""
    return printable(text).replace("\n", "\\n")


def json_text(document: Any, indent: int | None = None) -> str:
    """JSON with readable characters; what is unsafe in a terminal is escaped, which any reader takes for the same."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write(text: str) -> None:
    """Writes a piece of model text to stdout at once; a pipe gets it unchanged, where click would take out colours."""
    sys.stdout.write(shown(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
