"""A program in a pseudo-terminal: type, wait for what it writes, and look at what stands there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

import default_signals
import pyte


class Terminal:
    """Runs a command.

    ``raw`` is what it has written, ``lines()`` what a person sees who scrolls back.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, *, columns: int = 100, lines: int = 24
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.emulator = pyte.HistoryScreen(columns, lines, history=100_000)
        self.emulator.write_process_input = self.type  # where the cursor is, if it is asked
        self._stream = pyte.ByteStream(self.emulator)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
            preexec_fn=self._child,
        )
        os.close(slave)
        self.raw = ""
        self.seen = 0  # of the screen: expect() looks behind it

    def _child(self) -> None:
        os.close(self.master)
        default_signals.restore()

    @property
    def screen(self) -> str:
        """What stands in the terminal up to the cursor."""
        cursor = self.emulator.cursor
        lines = self.lines()[: len(self.emulator.history.top) + cursor.y]
        return "\n".join([*lines, self.emulator.display[cursor.y][: cursor.x]])

    def lines(self) -> list[str]:
        """What stands in the terminal, scrolled lines first."""
        return ["".join(char.data for char in line).rstrip() for line in self._characters()]

    def looks(self) -> set[str]:
        """Colours and attributes of what stands in the terminal."""
        shown = [char for line in self._characters() for char in line if char.data.strip()]
        kinds = {"bold": "bold", "italics": "italic", "underscore": "underline"}
        return {char.fg for char in shown} | {
            name for kind, name in kinds.items() if any(getattr(char, kind) for char in shown)
        }

    def _characters(self) -> list[list[pyte.screens.Char]]:
        lines = [*self.emulator.history.top, *(self.emulator.buffer[y] for y in range(self.emulator.lines))]
        return [[line[x] for x in range(self.emulator.columns)] for line in lines]

    def _show(self, data: bytes) -> None:
        self.raw += data.decode("utf-8", errors="replace")
        self._stream.feed(data)

    def expect(self, text: str, seconds: float = 120) -> str:
        """Waits until `text` is shown behind what was expected before; returns what came before it."""
        return self._expect(re.compile(re.escape(text)), seconds)

    def expect_answer(self) -> None:
        """Waits for the first word of an answer: a line that is not the progress of reading the prompt."""
        self._expect(re.compile(r"^(?!reading)\S+ ", re.MULTILINE), 120)

    def _expect(self, pattern: re.Pattern[str], seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while (found := pattern.search(screen := self.screen, self.seen)) is None:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.master], [], [], max(left, 0))
            if not ready:
                raise AssertionError(f"no {pattern.pattern!r} within {seconds} s in: {screen[self.seen :]!r}")
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the program ended without {pattern.pattern!r}: {screen[self.seen :]!r}")
            self._show(data)
        before = screen[self.seen : found.start()]
        self.seen = found.end()
        return before

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def type_until(self, keys: str, text: str) -> None:
        """Types `keys` again until `text` is shown: a history is loaded while its prompt is there already."""
        for _ in range(40):
            self.type(keys)
            try:
                self.expect(text, seconds=3)
            except AssertionError:
                continue
            return
        self.expect(text, seconds=3)

    def interrupt(self) -> None:
        """Ctrl-C, for a program that leads no foreground group of this terminal."""
        self.process.send_signal(signal.SIGINT)

    def end(self, seconds: float = 30) -> int:
        """Reads to the end; returns the exit status."""
        try:
            while select.select([self.master], [], [], seconds)[0]:
                data = os.read(self.master, 65536)
                if not data:
                    break
                self._show(data)
        except OSError:
            pass
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
