"""What a person does with the folder of prefixes: look, check, clear. No model is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge.store.aside import MOVED_ASIDE, may_move
from hd_edge.store.ownership import SIDE_FILES

from . import files
from .disk import INDEX, open_index, piece_files, sweep
from .index import APPLICATION_ID

if TYPE_CHECKING:
    from .index import Index


def report(folder: Path) -> dict[str, Any]:
    """Folder, and per model: name, pieces, tokens, bytes, time of last use.

    Raises:
        StoreError: The index cannot be read.
    """
    if not (folder / INDEX).exists():
        return {"folder": str(folder), "models": []}
    index = open_index(folder)
    try:
        return {"folder": str(folder), "models": index.summary()}
    finally:
        index.close()


def verify(folder: Path) -> dict[str, int]:
    """Reads every file and compares it with its checksum and its row; what does not fit is forgotten.

    Returns:
        Counts: ``sound`` pieces, ``damaged`` files, rows ``without_file``, files ``without_row``.

    Raises:
        StoreError: The index cannot be read or written.
    """
    counts = {"sound": 0, "damaged": 0, "without_file": 0, "without_row": 0}
    if not (folder / INDEX).exists():
        return counts
    index = open_index(folder)
    try:
        bad = [name for name in sorted(index.names()) if not _is_sound(folder, name, counts)]
        index.forget(bad)
        for name in bad:
            files.remove(folder, name)
        counts["without_row"] = sweep(folder, index)
    finally:
        index.close()
    return counts


def _is_sound(folder: Path, name: bytes, counts: dict[str, int]) -> bool:
    path = files.path_of(folder, name)
    kind = "without_file" if not path.exists() else "sound" if files.read_file(path) is not None else "damaged"
    counts[kind] += 1
    return kind == "sound"


def clear(folder: Path) -> tuple[int, int]:
    """Forgets everything and removes all files of ours, also those of an index that is damaged.

    Returns:
        How many files, and their bytes.

    Raises:
        StoreError: The index is in use or is none of ours; the files are gone nevertheless.
    """
    count = size = 0
    for path in piece_files(folder):
        if files.is_ours(path):
            size += path.stat().st_size
            count += 1
            path.unlink(missing_ok=True)
    if (folder / INDEX).exists():
        index: Index = open_index(folder)
        try:
            index.clear()
            index.file.compact()
        finally:
            index.close()
    for old in folder.glob(f"{INDEX}.corrupt-*"):
        if MOVED_ASIDE.fullmatch(old.name) and may_move(old, default=False, application=APPLICATION_ID):
            for path in (old, *(old.with_name(old.name + suffix) for suffix in SIDE_FILES)):
                if path.is_file():
                    size += path.stat().st_size
                    count += 1
                    path.unlink()
    return count, size
