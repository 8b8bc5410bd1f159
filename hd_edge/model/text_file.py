"""Texts that a command reads whole: up to a bound, for a device or a pipe may never end."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from hd_edge.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MOST = 2**26  # characters: some ten million tokens, more than any context holds


def read_whole(file: IO[str], name: str) -> str:
    """What is in an open file, of whatever kind.

    Args:
        file: A text file.
        name: What it is, for the error.

    Raises:
        ConfigError: It is too long.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not in the file's encoding.
    """
    return within(file.read(MOST + 1), name)


def read_line(file: IO[str], name: str) -> str:
    """One line with its end; empty at the end of the file. Arguments and errors as above."""
    return within(file.readline(MOST + 1), name)


def read_path(path: Path) -> str:
    """What is in a file of UTF-8 text. Errors as above."""
    with path.open(encoding="utf-8") as file:
        return read_whole(file, str(path))


def within(text: str, name: str, before: int = 0) -> str:
    """The text, if it and the characters before it are not too many.

    Raises:
        ConfigError: They are.
    """
    if before + len(text) > MOST:
        msg = f"{name} has more than {MOST:,} characters, and no context holds as many: give a shorter text"
        raise ConfigError(msg)
    return text
