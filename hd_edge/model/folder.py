"""Folders of hd_edge, for their owner alone."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_folder(folder: Path) -> None:
    """Makes a folder, for its owner alone, and those above it.

    Raises:
        OSError: It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except RecursionError:  # pathlib makes each folder in a call of its own
        raise OSError(errno.ENAMETOOLONG, "so many folders in one another cannot be made", str(folder)) from None
