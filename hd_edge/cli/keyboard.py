"""What a person types: with prompt_toolkit in a terminal, else plain lines of stdin."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hd_edge.model.text_file import read_line, within

from .interrupt import leaves_in_order
from .streams import as_utf8

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History

MOST_KEPT = 20_000  # characters of one text in the history's file: a pasted document is no line to come back to
Note = Callable[[str], None]


class Keyboard:
    """Reads texts of the user.

    Args:
        history: File of the texts of all sessions; None: those of this one are remembered alone.
        commands: What begins with ``/``; with a True for those that take a file.
        note: Tells the user something.
    """

    def __init__(self, history: Path | None, commands: dict[str, bool], note: Note) -> None:
        self.terminal = sys.stdin.isatty()
        self._note = note
        self._session: PromptSession[str] | None = None
        self._question: PromptSession[str] | None = None
        if self.terminal and sys.stderr.isatty():
            with contextlib.suppress(ImportError):
                self._session, self._question = _sessions(history, commands, note)
        if self.plain:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  line editing for input()

    @property
    def plain(self) -> bool:
        """A person is there, prompt_toolkit is not."""
        return self.terminal and self._session is None

    def read(self) -> str | None:
        """The next text, of one line or many; None at the end of the input.

        A line that ends in a backslash goes on in the next one, ``\"\"\"`` begins and ends a text; what was pasted, or
        typed with Alt-Enter, comes as it is.
        """
        lines: list[str] = []
        block, size = False, 0
        while True:
            try:
                line = self._line("> " if not lines and not block else ". ", self._session)
            except EOFError:
                return "\n".join(lines) or None
            except KeyboardInterrupt:
                self._note("Ctrl-D or /exit leaves")
                lines, block, size = [], False, 0
                continue
            size += len(within(line, "a text on stdin", size)) + 1
            if line.strip() == '"""':
                if block:
                    return "\n".join(lines).strip()
                block = True
            elif block:
                lines.append(line)
            elif line.endswith("\\") and "\n" not in line:
                lines.append(line[:-1])
            else:
                return "\n".join([*lines, line]).strip()

    def ask(self, question: str) -> str:
        """One more line, which no history keeps; empty where the user wants none."""
        try:
            return self._line(question, self._question).strip()
        except (EOFError, KeyboardInterrupt):
            return ""

    def _line(self, prompt: str, session: PromptSession[str] | None) -> str:
        with leaves_in_order(), self._kept():  # a signal may come before prompt_toolkit knows what it has changed
            return self._typed(prompt, session)

    def _typed(self, prompt: str, session: PromptSession[str] | None) -> str:
        if session is not None:
            return session.prompt([("bold", prompt)]).encode("utf-8", "replace").decode("utf-8")
        try:
            if self.terminal:
                return as_utf8(input(prompt))
            if not (line := read_line(sys.stdin, "a line on stdin")):
                raise EOFError
            return as_utf8(line.removesuffix("\n"))
        except (EOFError, KeyboardInterrupt):
            if self.terminal:
                print(file=sys.stderr)  # what comes next begins a line of its own
            raise

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """What is typed meanwhile is not shown in the midst of an answer; it waits for the next prompt."""
        with self._kept() as before:
            if before is not None:
                import termios

                quiet = [*before]
                quiet[3] &= ~termios.ECHO
                termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
            yield

    @contextlib.contextmanager
    def _kept(self) -> Iterator[list[Any] | None]:
        """The settings of the terminal, which it has again afterwards; None where there are none."""
        before = None
        with contextlib.suppress(ImportError):  # Windows shows nothing that is not read
            import termios

            if self.terminal:
                with contextlib.suppress(termios.error, OSError, ValueError):  # it is closed, or has no descriptor
                    before = termios.tcgetattr(sys.stdin)
        try:
            yield before
        finally:
            if before is not None:
                with contextlib.suppress(termios.error):  # it was closed meanwhile
                    termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _sessions(
    history: Path | None, commands: dict[str, bool], note: Note
) -> tuple[PromptSession[str], PromptSession[str]]:
    """For texts, and for answers to questions. Prompts go to stderr: stdout has the model's text."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.keys import Keys
    from prompt_toolkit.output import create_output
    from prompt_toolkit.shortcuts import CompleteStyle

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add(Keys.Vt100MouseEvent, eager=True)
    def _(_: KeyPressEvent) -> None:
        """Nothing asks for the mouse: this is text with such characters, on which prompt_toolkit's own would fail."""

    class Commands(Completer):
        """Names, and paths behind those that take a file."""

        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
            name, blank, path = document.text_before_cursor.partition(" ")
            if not blank:
                fitting = (f"/{command}" for command in commands if f"/{command}".startswith(name or " "))
                yield from (Completion(command, -len(name)) for command in fitting)
            elif commands.get(name[1:]):
                yield from PathCompleter(expanduser=True).get_completions(Document(path), complete_event)

    shown: dict[str, Any] = {
        "output": create_output(stdout=sys.stderr),
        "prompt_continuation": lambda _width, _line, wrapped: "  " if wrapped else ". ",
    }
    return PromptSession(
        history=_history(history, note),
        key_bindings=keys,
        completer=Commands(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        **shown,
    ), PromptSession(key_bindings=keys, **shown)


def _history(path: Path | None, note: Note) -> History:
    """The file's history, for the user alone to read; in memory where there can be no file."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class Kept(FileHistory):
        def store_string(self, string: str) -> None:
            if len(string) > MOST_KEPT:
                return
            try:
                super().store_string(string.encode("utf-8", "replace").decode("utf-8"))
            except OSError as error:
                note(f"the history is not kept: {path}: {error.strerror}")

    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        if path.is_file():  # opening a FIFO would block for ever
            path.open("ab").close()
            return Kept(path)
        note(f"the history is not kept: {path} is no regular file")
    except OSError as error:
        note(f"the history is not kept: {path}: {error.strerror}")
    return InMemoryHistory()
