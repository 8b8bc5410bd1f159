"""Aside: where a damaged file of ours goes, so that a new one can begin, and nothing is deleted."""

from __future__ import annotations

import os
import re
import stat
import time
from itertools import chain, count
from pathlib import Path

from hd_edge.model.lock import locked

from .open_stores import open_stores
from .ownership import APPLICATION_ID, SIDE_FILES, is_ours, real_path

MOVED_ASIDE = re.compile(r".+\.corrupt-\d{8}-\d{6}(-\d+)?")  # how move_aside() names files


def may_move(path: Path, *, default: bool, application: int = APPLICATION_ID) -> bool:
    """True for a damaged file of ours that its owner did not protect, and that nothing else of this process has open.

    Args:
        path: The file.
        default: The path is hd_edge's own choice, so what stands there is ours even if its header is gone.
        application: The id that a file of ours has.

    Raises:
        OSError: It cannot be looked at.
    """
    try:
        status = path.stat()
        own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()  # root must not take a file from its owner
        free = own and bool(status.st_mode & 0o222) and (status.st_dev, status.st_ino) not in open_stores
        return free and (is_ours(path, application) or (default and stat.S_ISREG(status.st_mode)))
    except FileNotFoundError:  # what is in the way stands beside it, or it has just been moved
        return default


def standing(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Device and inode of a file, and of those beside it that SQLite would play into it; None: there is none."""
    real = real_path(path)
    return tuple(_id_at(Path(f"{real}{suffix}")) for suffix in ("", *SIDE_FILES))


def _id_at(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except (OSError, ValueError):  # also a name that no file can have
        return None
    return status.st_dev, status.st_ino


def move_aside(path: Path, found: tuple[tuple[int, int] | None, ...]) -> Path | None:
    """Renames a damaged file and its journal to ``<name>.corrupt-<date>``, one process at a time.

    Args:
        path: No symbolic link.
        found: What ``standing()`` said before the file was found damaged. Nothing else is moved.

    Returns:
        The new name; None: another process has moved it, and what stands there now is not the damaged file.

    Raises:
        StoreError: The folder cannot be locked.
        OSError: It cannot be renamed.
    """
    with locked(path.parent):
        now = standing(path)
        pairs = zip(("", *SIDE_FILES), now, found, strict=True)
        # Beside the damaged file they are its own; where there is none they were in the way, unless they are new.
        moved = [end for end, is_, was in pairs if is_ is not None and (is_ == was or now[0] is not None)]
        if now[0] != found[0] or not moved:
            return None
        stem = f"{path.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}"
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        target = next(path.with_name(name) for name in names if not any(standing(path.with_name(name))))
        for end in reversed(moved):  # a journal of the damaged file must not be played into the new one
            path.with_name(path.name + end).rename(target.with_name(target.name + end))
    return target
