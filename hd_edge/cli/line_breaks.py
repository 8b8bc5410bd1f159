"""Line breaks of a text file: each unchanged line keeps its own, whatever a model writes."""

from __future__ import annotations

import difflib
from collections import Counter

ALL_COMPARED = 1000  # lines; of longer texts, difflib does not compare the commonest, which would take its square

Line = tuple[str, str]  # what stands in it, and its end: "\n", "\r\n", or "" behind the last


def parted(text: str) -> list[Line]:
    r"""The lines of a text. A line ends at "\n" alone, as in the file: what Python also splits at stays within it."""
    lines = text.split("\n")
    last = lines.pop()
    parts = [(line[:-1], "\r\n") if line.endswith("\r") else (line, "\n") for line in lines]
    return [*parts, (last, "")] if last else parts


def plain(lines: list[Line]) -> str:
    r"""The text as a model reads it: with "\n" alone."""
    return "".join(line + end[-1:] for line, end in lines)


def like(old: list[Line], text: str) -> list[Line]:
    r"""The lines of a new text, with the ends of the old ones: a new line's end is that of the line it stands for.

    Args:
        old: Lines of the file.
        text: The new text, with "\n" alone; a "\r" is part of its line.
    """
    new = text.split("\n")
    last = new.pop()
    commonest = Counter(end for _, end in old if end).most_common(1)
    usual = commonest[0][0] if commonest else "\n"
    ends = [usual] * len(new)
    compared = difflib.SequenceMatcher(
        None, [line for line, _ in old], [*new, last] if last else new, autojunk=len(old) > ALL_COMPARED
    )
    for _, first, behind, start, stop in compared.get_opcodes():
        for place in range(start, min(stop, len(new))):
            neighbour = max(min(first + place - start, behind - 1), 0)
            ends[place] = (old[neighbour][1] if old else "") or usual
    lines = list(zip(new, ends, strict=True))
    return [*lines, (last, "")] if last else lines


def compare(old: list[Line], new: list[Line], name: str) -> list[str]:
    r"""A unified diff, empty if nothing changes; "\r" at a line's end is part of it unless all lines end alike."""
    alike = len({end for _, end in [*old, *new] if end}) < 2
    before, after = ([line + ("" if alike else end[:-1]) for line, end in lines] for lines in (old, new))
    return list(difflib.unified_diff(before, after, name, "new", lineterm=""))
