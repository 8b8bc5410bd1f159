"""Where prefixes are kept, and how much of the disk they may take."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hd_edge.config import system_folder, user_path

DEFAULT_BUDGET = 4 << 30  # bytes on disk
SHARE_OF_FREE = 0.25  # of the disk's free space, if that is less
LEAST_FREE = 1 << 30  # bytes of the disk that are left free in any case
MEMORY_SHARE, MEMORY_MOST, MEMORY_LEAST = 16, 2 << 30, 64 << 20


def cache_folder() -> Path:
    """``HD_EDGE_HOME/prefix``, or a folder in the user's cache folder of this system. Not created here.

    Raises:
        ConfigError: The user's home folder, or the one that ``HD_EDGE_HOME`` begins with, is not known.
    """
    if home := os.environ.get("HD_EDGE_HOME"):
        return user_path(home) / "prefix"
    return system_folder("cache") / "prefix"


def free_bytes(folder: Path) -> int:
    """Free space where a folder is or would be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def memory_budget() -> int:
    """Bytes of state kept in memory by default: a sixteenth of the machine's, within bounds."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return MEMORY_MOST // 4
    return min(max(total // MEMORY_SHARE, MEMORY_LEAST), MEMORY_MOST)
