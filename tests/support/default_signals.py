"""Signals of a child process: a suite run under nohup, or in the background, hands down some that are ignored."""

from __future__ import annotations

import signal


def restore() -> None:
    """For ``preexec_fn``, on POSIX: a closed terminal and Ctrl-C reach the child."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
