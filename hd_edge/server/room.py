"""How many connections there are files for: where none is left, Python logs a page for each that it cannot take."""

from __future__ import annotations

import sys

if sys.platform != "win32":  # where there is no such limit
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit

MOST = 4096  # connections
RESERVE = 256  # files for stores, the prefix cache, the model


def make_room() -> None:
    """Raises the process's limit of open files, as far as it may and is of use."""
    if sys.platform == "win32":
        return
    soft, hard = getrlimit(RLIMIT_NOFILE)
    wanted = MOST + RESERVE if hard == RLIM_INFINITY else min(MOST + RESERVE, hard)
    if soft != RLIM_INFINITY and soft < wanted:
        setrlimit(RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Connections that may be open at a time."""
    if sys.platform == "win32":
        return MOST
    soft, _ = getrlimit(RLIMIT_NOFILE)
    return MOST if soft == RLIM_INFINITY else min(MOST, max(soft - RESERVE, soft // 2))
