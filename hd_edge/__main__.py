"""``python -m hd_edge`` is the ``hd-edge`` command."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Runs the command; Ctrl-C while it is imported ends it as silently as later, with status 130."""
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from .cli import main as command

    signal.signal(signal.SIGINT, before)
    command()


if __name__ == "__main__":
    main()
