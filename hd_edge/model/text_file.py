"""Texts that a command reads whole: up to a bound, for a device or a pipe may never end."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, AnyStr, TextIO

from hd_edge.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MOST = 2**26  # bytes or characters: some ten million tokens, more than any context holds


def no_json(error: json.JSONDecodeError | UnicodeDecodeError) -> str:
    """What is wrong with a file of JSON, in words and with its place."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is no UTF-8 text: byte {error.object[error.start]:#04x} at {error.start}"
    return f"it is no JSON, from line {error.lineno}, column {error.colno} on"


def read_whole(file: TextIO, name: str) -> str:
    """What is in an open file, of whatever kind.

    Args:
        file: A text file.
        name: What it is, for the error.

    Raises:
        ConfigError: It is too long.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not in the file's encoding.
    """
    data = within(file.buffer.read(MOST + 1), name, units="bytes")  # decoded at once: an error names the place
    text = data.decode(file.encoding, file.errors or "strict")
    return io.IncrementalNewlineDecoder(None, translate=True).decode(text, final=True)


def read_line(file: TextIO, name: str) -> str:
    """One line with its end; empty at the end of the file. Arguments and errors as above."""
    return within(file.readline(MOST + 1), name)


def read_path(path: Path) -> str:
    """What is in a file of UTF-8 text. Errors as above."""
    with path.open(encoding="utf-8") as file:
        return read_whole(file, str(path))


def within(text: AnyStr, name: str, before: int = 0, units: str = "characters") -> AnyStr:
    """The text, if it and what came before it are not too long.

    Raises:
        ConfigError: They are.
    """
    if before + len(text) > MOST:
        msg = f"{name} has more than {MOST:,} {units}, and no context holds as many: give a shorter text"
        raise ConfigError(msg)
    return text
