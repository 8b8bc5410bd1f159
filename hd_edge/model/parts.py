"""The files of a model that is split into several: ``x-00001-of-00003.gguf`` and so on, side by side.

llama.cpp is given the first one. That tells how many there are, and its name where they lie (``llama_split_path``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path

from .soundness import UnsoundError, refuse

COUNT, NUMBER, TENSORS = "split.count", "split.no", "split.tensors.count"
UINT16 = 2  # type of both; llama.cpp asserts it
FIRST = re.compile(r"(.*)-00001-of-(\d{5})\.gguf", re.DOTALL)


def check_type(key: str, kind: int) -> None:
    """Refuses a number of files or of one of them that llama.cpp would end the process over.

    Raises:
        UnsoundError: It is of another type.
    """
    if key in (COUNT, NUMBER) and kind != UINT16:
        refuse(f"{key} is of type {kind}, llama.cpp takes {UINT16}, a number of 16 bits")


def part_paths(path: Path, scalars: Mapping[str, object]) -> list[Path]:
    """All files of a model, by what the first one says; some may be missing.

    Args:
        path: The first file.
        scalars: Its metadata.

    Raises:
        UnsoundError: It is not the first one, or its name does not tell those of the others.
    """
    count = scalars.get(COUNT, 0)
    if not isinstance(count, int) or count < 2:
        return [path]
    if (number := scalars.get(NUMBER)) != 0:
        msg = f"is not the first of {count} files: its {NUMBER} is {number}, expected 0; give the first one"
        raise UnsoundError(msg)
    end = f"-00001-of-{count:05}.gguf"
    if not path.name.endswith(end):
        msg = f"is the first of {count} files, and its name tells where the others are: it must end in {end}"
        raise UnsoundError(msg)
    return [path.with_name(name) for name in part_names(path.name)]


def check_tensors(scalars: Mapping[str, object], found: int) -> None:
    """Refuses files that do not have the tensors of the model, each once.

    Args:
        scalars: Metadata of the first file.
        found: Tensors of all files.

    Raises:
        UnsoundError: The first one tells of more or fewer.
    """
    if (told := scalars.get(TENSORS)) != found:
        refuse(f"its {TENSORS} is {told}, and its files have {found} tensors")


def part_names(name: str) -> Iterator[str]:
    """Names of all files of a model, as far as that of the first one tells of others."""
    found = FIRST.fullmatch(name)
    if found is None:
        yield name
        return
    for number in range(1, int(found[2]) + 1):
        yield f"{found[1]}-{number:05}-of-{found[2]}.gguf"


def model_bytes(path: str | os.PathLike[str]) -> int:
    """Size of a model's files, as far as they are there and the first one's name tells of others."""
    path = Path(path)
    files = map(path.with_name, part_names(path.name)) if path.name else ()
    return sum(file.stat().st_size for file in takewhile(Path.is_file, files))
