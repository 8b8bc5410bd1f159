"""A conversation with a model: history, system prompt, and what happens when the context is full."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hd_edge.config import data_folder
from hd_edge.errors import ConfigError, ContextFullError, StoreBusyError, StoreError
from hd_edge.model.lock import locked
from hd_edge.model.text_file import no_json
from hd_edge.store.ownership import new_text, place, real_path

from .interrupt import in_thread

if TYPE_CHECKING:
    from hd_edge import Llama

TEMPLATE_TOKENS = 8  # of one message, about: role and markers
ROLES = ("system", "user", "assistant")
MOST_BYTES = 256 * 2**20  # of a saved conversation


class Piece(NamedTuple):
    """A part of an answer."""

    text: str
    tier: str
    thought: bool = False  # it stands between <think> and </think>, and is no part of the conversation


Pieces = Generator[Piece, None, None]


class Saved(NamedTuple):
    """What a file of a conversation holds."""

    system: str
    turns: list[dict[str, str]]
    more: bool = False  # there are fields beside these, which a conversation has no place for


class Conversation:
    """Turns of a user and a model.

    Args:
        llm: The model.
        system: System prompt; empty for none.
        settings: Sampling settings of ``create_chat_completion``.
    """

    def __init__(self, llm: Llama, system: str, settings: dict[str, Any]) -> None:
        self.llm, self.system, self.settings = llm, system, settings
        self.turns: list[dict[str, str]] = []  # user and assistant, by turns
        self.dropped = 0  # oldest turns that no longer fit the context
        self.cancelled = False  # the last answer was stopped
        self.cut = False  # the last answer ended at the most tokens, or at the end of the context
        self.answered = False  # something was said; else the conversation is what it was

    def messages(self, turns: list[dict[str, str]]) -> list[dict[str, str]]:
        """What the model is given of these turns."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return system + turns[self.dropped :]

    def ask(self, text: str) -> Pieces:
        """Pieces of the answer to a new question, each with its tier; Ctrl-C ends it and keeps what was said.

        Raises:
            ContextFullError: The question alone does not fit the context.
        """
        return self._answer([*self.turns, {"role": "user", "content": text}])

    def ask_again(self) -> Pieces:
        """Pieces of another answer to the last question; the old one stays where nothing new is said.

        Raises:
            ContextFullError: The question alone does not fit the context.
        """
        return self._answer(self.turns[:-1])

    @property
    def has_answer(self) -> bool:
        """The last turns are a question and its answer."""
        return [turn["role"] for turn in self.turns[-2:]] == ["user", "assistant"]

    def _answer(self, turns: list[dict[str, str]]) -> Pieces:
        """Answers the last of these turns; they become the conversation's with the first word that is said."""
        self._make_room(turns)
        said: list[str] = []
        self.cancelled = self.cut = False
        try:
            while True:
                try:
                    for piece in self._stream(turns):
                        if not piece.thought:
                            said.append(piece.text)
                        yield piece
                    break
                except ContextFullError:
                    if said or not self._drop_turn(turns):
                        raise
        except KeyboardInterrupt:
            self.cancelled = True
        finally:
            text = "".join(said)
            self.answered = bool(text)
            if text:
                self.turns = [*turns, {"role": "assistant", "content": text}]

    def reset(self) -> None:
        """Forgets all turns."""
        self.turns, self.dropped = [], 0

    def save(self, path: Path) -> Path | None:
        """Writes the conversation as JSON, whole or not at all, for the user alone to read.

        Returns:
            As ``write`` below; chats that save at the same moment take turns.

        Raises:
            ConfigError: What stands there is no saved conversation; it is left alone.
            StoreBusyError: Another chat has been saving for ten seconds.
            OSError: It cannot be written.
        """
        with alone():
            return self.write(path, real_path(path))

    def write(self, path: Path, beside: Path, replaced: list[dict[str, str]] | None = None) -> Path | None:
        """The same for who is alone already.

        Args:
            path: Where.
            beside: Next to which, and named like which, what stands there is kept.
            replaced: Turns whose last answer was made again, so that it may go.

        Returns:
            Where the file is now that stood there, if it had what this conversation has not; None: there was no more.

        Raises:
            ConfigError: What stands there is no saved conversation; it is left alone.
            OSError: It cannot be written.
        """
        document = {"system": self.system, "messages": self.turns}
        real = real_path(path)
        stands = os.path.lexists(real)
        loses = stands and not self._has(read(path), replaced)
        aside = _keep(real, beside) if loses else None
        with new_text(real, replaces=stands) as file:
            file.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        return aside

    def load(self, path: Path) -> None:
        """Reads a saved conversation.

        Raises:
            ConfigError: The file is none.
            OSError: It cannot be read.
        """
        self.system, self.turns, _ = read(path)
        self.dropped = 0

    def _has(self, saved: Saved, replaced: list[dict[str, str]] | None) -> bool:
        """All that was saved stands in this conversation, too."""
        turns = saved.turns in (self.turns[: len(saved.turns)], replaced)
        return turns and saved.system in ("", self.system) and not saved.more

    def _stream(self, turns: list[dict[str, str]]) -> Pieces:
        messages = self.messages(turns)
        make = partial(self.llm.create_chat_completion, messages, stream=True, reasoning_format="auto", **self.settings)
        for arrival in in_thread(self.llm, make):
            choice = arrival.chunk["choices"][0]
            self.cut = choice["finish_reason"] == "length"
            if text := choice["delta"].get("content"):
                yield Piece(text, arrival.tier)
            elif text := choice["delta"].get("reasoning_content"):
                yield Piece(text, arrival.tier, thought=True)

    def _make_room(self, turns: list[dict[str, str]]) -> None:
        """Drops the oldest turns until an answer fits too."""
        size = self.llm.n_ctx()
        reserve = min(size // 4, 512)
        while self._tokens(turns) + reserve > size and self._drop_turn(turns):
            pass

    def _tokens(self, turns: list[dict[str, str]]) -> int:
        return sum(
            len(self.llm.tokenize(message["content"].encode("utf-8"), add_bos=False)) + TEMPLATE_TOKENS
            for message in self.messages(turns)
        )

    def _drop_turn(self, turns: list[dict[str, str]]) -> bool:
        """Leaves out the oldest question and its answer; never the last question."""
        if self.dropped + 2 >= len(turns):
            return False
        self.dropped += 2
        return True


@contextmanager
def alone() -> Iterator[None]:
    """In this block no other chat of this user writes a conversation, wherever that is.

    Raises:
        StoreBusyError: Another one has been writing for ten seconds.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(data_folder() / "sessions"))
        except StoreBusyError:
            raise
        except (ConfigError, StoreError, OSError):
            pass  # there can be no such folder: a conversation must have a way out all the same
        yield


def _keep(path: Path, beside: Path) -> Path:
    """Gives a file a second name with the date, under which it stays when another takes the first."""
    stem = f"{beside.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    for name in chain([stem], (f"{stem}-{number}" for number in count(2))):
        aside = beside.with_name(name + beside.suffix)
        with suppress(FileExistsError):
            place(path, aside)
            break
    return aside


def read(path: Path) -> Saved:
    """A saved conversation.

    Raises:
        ConfigError: The file is none.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    if not path.is_file() or size > MOST_BYTES:
        msg = f"{path} is no conversation saved by /save: it is no regular file of at most {MOST_BYTES} bytes"
        raise ConfigError(msg)
    data = path.read_bytes()
    try:
        document = json.loads(data.decode("utf-8-sig"))
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in document["messages"]]
        system = document["system"]
        "".join([system, *(turn["content"] for turn in turns)]).encode("utf-8")  # JSON can hold half a character
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{path} is no conversation saved by /save: {_why(error)}"
        raise ConfigError(msg) from error
    texts = [system, *(turn["content"] for turn in turns)]
    if not all(isinstance(text, str) for text in texts) or any(turn["role"] not in ROLES for turn in turns):
        msg = f"{path} has a message that is no text of {', '.join(ROLES)}; save a conversation with /save"
        raise ConfigError(msg)
    more = len(document) > 2 or any(len(turn) > 2 for turn in document["messages"])
    return Saved(system, turns, more)


def _why(error: Exception) -> str:
    """What is wrong with a file, in words."""
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return no_json(error)
    if isinstance(error, UnicodeEncodeError):
        return "a text of it has half a surrogate pair"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, RecursionError):
        return "it has too many lists or objects in each other"
    return 'it is not of the form {"system": "...", "messages": [{"role": "...", "content": "..."}]}'
