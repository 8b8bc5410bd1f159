"""Reads a corpus of any size, piece by piece: JSON lines, plain text, or standard input.

A source is cut into units (a line of JSON, a block of plain text) in a way that depends on its bytes alone, so a build
that was interrupted skips the units it has counted and goes on.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hd_edge.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK = 64 << 10  # bytes of plain text per unit; also the longest piece that is tokenized at once
MAX_LINE = 64 << 20  # a longer line of JSON is skipped
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


@dataclass
class Unit:
    """One text of a corpus.

    Attributes:
        text: UTF-8; empty if the unit holds none.
        size: Bytes of the source that it stands for.
        skipped: True for a line that is no JSON or lacks the field.
    """

    text: bytes
    size: int
    skipped: bool = False


class Corpus:
    """Texts of several sources, in order.

    Args:
        sources: Paths, or ``"-"`` for standard input. ``.jsonl``, ``.ndjson`` and ``.json`` are JSON lines, standard
            input is if its first line is a JSON object, anything else is plain text.
        field: Field of a JSON line that holds the text; a line that is a string is the text itself.

    Raises:
        CorpusError: A path is no file.
    """

    def __init__(self, sources: Sequence[str | Path], field: str = "text") -> None:
        self.sources = [str(source) for source in sources]
        self.field = field
        for source in self.sources:
            if source != "-" and not Path(source).is_file():
                msg = f"corpus {source} is not a file"
                raise CorpusError(msg)

    @property
    def total_bytes(self) -> int | None:
        """Size of all sources; None if standard input is among them."""
        if "-" in self.sources:
            return None
        return sum(Path(source).stat().st_size for source in self.sources)

    def describe(self) -> list[list[str | int]]:
        """Name, size and time of every source: what must be unchanged for a build to go on."""
        return [
            [s, 0, 0] if s == "-" else [s, Path(s).stat().st_size, Path(s).stat().st_mtime_ns] for s in self.sources
        ]

    def units(self, skip: int = 0) -> Iterator[Unit]:
        """The units after the first ``skip``.

        Raises:
            CorpusError: A source cannot be read.
        """
        for source in self.sources:
            with ExitStack() as stack:
                try:
                    file = sys.stdin.buffer if source == "-" else stack.enter_context(Path(source).open("rb"))
                    first = file.readline(MAX_LINE)
                    lines = source.endswith(JSON_SUFFIXES) or (source == "-" and first.lstrip()[:1] == b"{")
                    for raw in _lines(file, first) if lines else _blocks(file, first):
                        if skip > 0:
                            skip -= 1
                        elif lines:
                            yield self._parse(raw)
                        else:
                            yield Unit(raw, len(raw))
                except OSError as error:
                    msg = f"corpus {source}: {error.strerror or error}"
                    raise CorpusError(msg) from error

    def _parse(self, raw: bytes) -> Unit:
        if not raw.strip():
            return Unit(b"", len(raw))
        try:
            value = json.loads(raw)
        except ValueError:
            return Unit(b"", len(raw), skipped=True)
        text = value.get(self.field) if isinstance(value, dict) else value
        if not isinstance(text, str):
            return Unit(b"", len(raw), skipped=True)
        return Unit(text.encode("utf-8", "replace"), len(raw))


def _lines(file: IO[bytes], first: bytes) -> Iterator[bytes]:
    line = first
    while line:
        if line.endswith(b"\n") or len(line) < MAX_LINE:
            yield line
        else:
            yield b"[too long]"
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE)
        line = file.readline(MAX_LINE)


def _blocks(file: IO[bytes], rest: bytes) -> Iterator[bytes]:
    """Blocks of about BLOCK bytes that end with a line or, in a long line, with a word."""
    while True:
        while len(rest) > BLOCK:
            cut = _cut(rest)
            yield rest[:cut]
            rest = rest[cut:]
        more = file.read(BLOCK * 4)
        if not more:
            break
        rest += more
    if rest:
        yield rest


def _cut(text: bytes) -> int:
    """Where to end a piece of more than BLOCK bytes: behind a line, before a word, or between two characters."""
    for mark, keep in ((b"\n", 1), (b" ", 0)):
        cut = text.rfind(mark, BLOCK // 2, BLOCK)
        if cut > 0:
            return cut + keep
    cut = BLOCK
    while cut > BLOCK - 4 and text[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def pieces(text: bytes) -> Iterator[bytes]:
    """A text in pieces of at most BLOCK bytes."""
    while len(text) > BLOCK:
        cut = _cut(text)
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text
