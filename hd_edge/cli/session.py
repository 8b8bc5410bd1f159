"""A named conversation on the disk: what stands there, or what another chat writes meanwhile, is never written over."""

from __future__ import annotations

import os
from pathlib import Path

from hd_edge.errors import ConfigError
from hd_edge.model.folder import make_folder

from .conversation import Conversation, Saved, alone, read

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
        self._held = _saved(path) or Saved("", [])  # as far as this chat knows

    def keep(self, conversation: Conversation, replaced: list[dict[str, str]] | None = None) -> str | None:
        """Writes the conversation, beside the file if another chat has put there what would be lost.

        Args:
            conversation: What was said.
            replaced: Turns whose last answer was made again.

        Returns:
            What a person should know about other names that were needed.

        Raises:
            HDEdgeError: Another chat stays at it, or what stands there is no conversation.
            OSError: It cannot be written.
        """
        make_folder(self.path.parent)
        with alone():
            moved = False
            if (now := _stamp(self.path)) is not None and now != self._known:
                theirs, ours = _saved(self.path), Saved(conversation.system, conversation.turns)
                if theirs is not None and _begins(theirs, ours):
                    return None  # nothing new was said here
                if moved := theirs is None or not _begins(ours, theirs):
                    self.path = self._beside()
            aside = conversation.write(self.path, self.path, replaced)
            self._known = _stamp(self.path)
            self._held = Saved(conversation.system, conversation.turns)
        if moved:
            return f"another chat has gone on with this session: this one is kept as --session {self.path.stem}"
        return f"what this session held before is kept as --session {aside.stem}" if aside is not None else None

    def lacks(self, conversation: Conversation) -> bool:
        """What changed since the last answer, such as the system prompt, is not kept."""
        return self._held[:2] != (conversation.system, conversation.turns)

    def _beside(self) -> Path:
        """The first name with a number that no session has."""
        number = 2
        while os.path.lexists(path := self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")):
            number += 1
        return path


def _begins(whole: Saved, start: Saved) -> bool:
    return start.system == whole.system and start.turns == whole.turns[: len(start.turns)]


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
