"""A program in a pseudo-terminal: type, and wait for what it shows."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs a command; ``screen`` is everything it has written, with escape sequences in ``raw`` only."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", **(env or {})},
            start_new_session=True,
            preexec_fn=self._child,
        )
        os.close(slave)
        self.raw = ""
        self.seen = 0  # of self.raw: expect() looks behind it

    def _child(self) -> None:
        os.close(self.master)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a suite run in the background hands down an ignored one

    @property
    def screen(self) -> str:
        return ESCAPES.sub("", self.raw).replace("\r", "")

    def expect(self, text: str, seconds: float = 120) -> str:
        """Waits until `text` is shown behind what was expected before; returns what came before it."""
        deadline = time.monotonic() + seconds
        while (at := self.screen.find(text, self.seen)) < 0:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.master], [], [], max(left, 0))
            if not ready:
                raise AssertionError(f"no {text!r} within {seconds} s in: {self.screen[self.seen :]!r}")
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the program ended without {text!r}: {self.screen[self.seen :]!r}")
            self.raw += data.decode("utf-8", errors="replace")
        before = self.screen[self.seen : at]
        self.seen = at + len(text)
        return before

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C, for a program that leads no foreground group of this terminal."""
        self.process.send_signal(signal.SIGINT)

    def interrupt_until(self, text: str) -> None:
        """Ctrl-C again until `text` is shown: readline loses one that comes between its prompt and its wait."""
        for _ in range(40):
            self.interrupt()
            try:
                self.expect(text, seconds=3)
            except AssertionError:
                continue
            return
        self.expect(text, seconds=3)

    def end(self, seconds: float = 30) -> int:
        """Reads to the end; returns the exit status."""
        try:
            while select.select([self.master], [], [], seconds)[0]:
                data = os.read(self.master, 65536)
                if not data:
                    break
                self.raw += data.decode("utf-8", errors="replace")
        except OSError:
            pass
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
