"""Standard streams as a command finds them: closed, full, of another encoding; and what a failure tells."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import click

from hd_edge.errors import HDEdgeError, printable
from hd_edge.store.output import figures_mark, figures_text, write
from hd_edge.store.ownership import named


class StreamName(str):
    """What an error of a stream names in place of a file."""

    __slots__ = ()


STDOUT = StreamName("stdout")
# A closed descriptor would be the next file's, and llama.cpp would print into a store. Reading gives nothing, writing
# to stdout fails as it does where it is closed, what goes to stderr is lost.
_STANDARD = ((0, "stdin", os.O_RDONLY, "r"), (1, STDOUT, os.O_RDONLY, "w"), (2, "stderr", os.O_WRONLY, "w"))


class _Named:
    """A stream whose failures tell which one it is.

    Args:
        stream: The stream.
        name: What it is called.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's."""
        with named(self._name):
            return self._stream.write(text)

    def flush(self) -> None:
        """As the stream's."""
        with named(self._name):
            self._stream.flush()


def prepare() -> None:
    """Makes the three streams usable, and warnings one line each."""
    for number, name, flags, mode in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a locale that cannot spell a character must not end an answer
    sys.stdout = cast("TextIO", _Named(sys.stdout, STDOUT))
    warnings.showwarning = _show


_waiting: list[list[str]] = []  # warnings, of each block that holds them back


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    line = f"hd-edge: {printable(str(message))}"
    if _waiting:
        _waiting[-1].append(line)
    else:
        click.echo(line, err=True)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Warnings wait for the end of this block, within which a line of an answer is not complete."""
    lines: list[str] = []
    _waiting.append(lines)
    try:
        yield
    finally:
        _waiting.pop()
        for line in lines:
            click.echo(line, err=True)


def as_utf8(given: str) -> str:
    """Text from the command line or stdin as UTF-8, whatever the locale: what it could not decode is decoded here.

    Raises:
        UnicodeDecodeError: It is no UTF-8.
    """
    return given.encode("utf-8", "surrogateescape").decode("utf-8")


def finish() -> None:
    """Writes what is buffered, while a failure can still be told.

    Raises:
        OSError: It cannot be written.
    """
    sys.stdout.flush()


def wrote(path: str | os.PathLike[str]) -> None:
    """Says where a file is that was asked for."""
    click.echo(f"wrote {printable(os.path.abspath(path))}", err=True)  # noqa: PTH100  links stay, as the user named them


def write_figures(path: str, command: str, figures: dict[str, Any]) -> None:
    """Writes what a program reads, to stdout where the path is a dash; else says where it is."""
    text = figures_text(command, figures)
    if path == "-":
        click.echo(text, nl=False)
    else:
        write(Path(path), text.encode("ascii"), figures_mark(command))
        wrote(path)


def silence(stream: TextIO) -> None:
    """What is still buffered is dropped, so that the interpreter's end does not complain about it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def sentence(error: BaseException) -> str:
    """What a failure tells a person."""
    if isinstance(error, HDEdgeError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return f"the input is not UTF-8 text: byte {error.object[error.start]:#04x} at {error.start} ({error.reason})"
    if isinstance(error, OSError):
        name = printable(str(error.filename or ""))
        return f"{name}: {error.strerror}" if name else f"cannot read or write: {error}"
    return f"{type(error).__name__}: {printable(str(error))}; hd-edge --debug shows where"
