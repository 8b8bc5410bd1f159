"""A named conversation on the disk: what another chat has written there meanwhile is never written over."""

from __future__ import annotations

import os
from pathlib import Path

from hd_edge.errors import ConfigError
from hd_edge.model.lock import locked

from .conversation import Conversation, read

Stamp = tuple[int, int, int]  # inode, size, and time of the last change: a file that is replaced has others


class Session:
    """The file of a session.

    Args:
        path: Where it is or will be; create the object before the file is read.

    Attributes:
        path: Where the conversation is kept; another file once two chats have gone on from the same one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _stamp(path)

    def keep(self, conversation: Conversation) -> str | None:
        """Writes the conversation, beside the file if that holds what would be lost.

        Returns:
            The session's new name, if it has got one.

        Raises:
            HDEdgeError: The folder stays locked, or what stands there is no conversation.
            OSError: It cannot be written.
        """
        with locked(self.path.parent):
            moved = False
            if (now := _stamp(self.path)) is not None and now != self._known:
                theirs, ours = _saved(self.path), (conversation.system, conversation.turns)
                if theirs is not None and _begins(theirs, ours):
                    return None  # nothing new was said here
                if moved := theirs is None or not _begins(ours, theirs):
                    self.path = self._beside()
            conversation.save(self.path)
            self._known = _stamp(self.path)
        return self.path.stem if moved else None

    def _beside(self) -> Path:
        """The first name with a number that no session has."""
        number = 2
        while os.path.lexists(path := self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")):
            number += 1
        return path


Saved = tuple[str, list[dict[str, str]]]  # system prompt and turns


def _begins(whole: Saved, start: Saved) -> bool:
    return start[0] == whole[0] and start[1] == whole[1][: len(start[1])]


def _saved(path: Path) -> Saved | None:
    """What stands there; None: no conversation."""
    try:
        return read(path)
    except (ConfigError, OSError):
        return None


def _stamp(path: Path) -> Stamp | None:
    """None: there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
