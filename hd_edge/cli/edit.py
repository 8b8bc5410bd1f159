"""``/edit`` of the chat: the model writes a file anew, its old text as prediction; a person decides on the diff."""

from __future__ import annotations

import re
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge.errors import ConfigError
from hd_edge.store.ownership import new_text, real_path

from .interrupt import in_thread
from .line_breaks import compare, like, parted, plain
from .progress import ProgressLine

if TYPE_CHECKING:
    from hd_edge import Llama

TASK = "Here is a file named {name}:\n\n{text}\n\n{change} Write the whole new text of the file and nothing else."
FENCED = re.compile(r"\s*```[^\n]*\n(.*?)\n?```\s*", re.DOTALL)
MOST_BYTES = 2**20
SHOWN_EVERY = 8  # pieces between two states of the progress line


class Edit:
    """One change of a file.

    Args:
        path: A text file.

    Raises:
        ConfigError: It is no regular file, or no UTF-8.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = real_path(path)
        self._status = self.path.stat()
        if not stat.S_ISREG(self._status.st_mode) or self._status.st_size > MOST_BYTES:
            msg = f"{path} is no regular file of at most {MOST_BYTES} bytes: name a text"
            raise ConfigError(msg)
        try:
            text = self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            msg = f"{path} is no UTF-8 text ({error.reason} at {error.start}): convert it first"
            raise ConfigError(msg) from error
        self._old = self._new = parted(text)
        self.old = plain(self._old)

    def ask(self, llm: Llama, change: str, settings: dict[str, Any]) -> bool:
        """Has the model write the new text; False if it was cut: far too long, or at the end of the context.

        Raises:
            ContextFullError: The file does not fit the context.
            KeyboardInterrupt: The user stopped it.
        """
        most = 2 * len(llm.tokenize(self.old.encode("utf-8"), add_bos=False)) + 512  # a model that loops ends there
        text = TASK.format(change=change, name=self.path.name, text=self.old)
        make = partial(
            llm.create_chat_completion,
            [{"role": "user", "content": text}],
            stream=True,
            reasoning_format="auto",
            prediction={"type": "content", "content": self.old},
            **{**settings, "temperature": 0.0, "max_tokens": most},  # a copy is wanted, no new idea
        )
        line, pieces, finish = ProgressLine("writing"), [""], None
        try:
            for arrival in in_thread(llm, make):
                choice = arrival.chunk["choices"][0]
                pieces.append(choice["delta"].get("content") or "")
                finish = choice["finish_reason"] or finish
                if len(pieces) % SHOWN_EVERY == 0:
                    written = sum(map(len, pieces))
                    line.show(written, max(len(self.old), written), 0.0, f"{written} characters")
        finally:
            line.close()
        self._new = like(self._old, self._like_the_old("".join(pieces)))
        return finish != "length"

    def _like_the_old(self, text: str) -> str:
        """Without a fence that the model put around it, and with as many line breaks at the end as there were."""
        if "\r\n" not in self.old:
            text = text.replace("\r\n", "\n")
        if not self.old.lstrip().startswith("```") and (fenced := FENCED.fullmatch(text)):
            text = fenced[1]
        return text.strip("\n") + self.old[len(self.old.rstrip("\n")) :]

    def diff(self) -> list[str]:
        """All that ``write`` changes, as a unified diff; empty if that is nothing. Its lines may hold any character."""
        return compare(self._old, self._new, str(self.path))

    def write(self) -> None:
        """Writes the new text, whole or not at all, with the mode of the old.

        Raises:
            ConfigError: The file has changed meanwhile.
            OSError: It cannot be written.
        """
        now = self.path.stat()
        if (now.st_mtime_ns, now.st_size) != (self._status.st_mtime_ns, self._status.st_size):
            msg = f"{self.path} has changed while the model wrote: it was left alone; /edit it again"
            raise ConfigError(msg)
        mode = stat.S_IMODE(self._status.st_mode)
        with new_text(self.path, replaces=True, mode=mode) as file:
            file.writelines(line + end for line, end in self._new)
