"""One line of progress on stderr: how much, how fast, how long still."""

from __future__ import annotations

import sys
import time

import click

WIDTH = 24
LONG_PREFILL = 3.0  # seconds: a prompt that takes longer is worth a line
QUIET_EVERY = 15.0  # seconds between two lines where stderr is no terminal


class ProgressLine:
    """Redraws itself on a terminal; elsewhere prints a line now and then.

    Args:
        label: What is being done.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._terminal = sys.stderr.isatty()
        self._told = time.monotonic()
        self._width = 0

    def begin(self, note: str) -> None:
        """Says what is about to begin, where no bar shows it."""
        if not self._terminal:
            click.echo(f"{self._label}  {note}", err=True)

    def show(self, done: int, total: int | None, seconds: float, note: str) -> None:
        """Draws the state; ``note`` tells the rate."""
        now = time.monotonic()
        if not self._terminal and now - self._told < QUIET_EVERY:
            return
        self._told = now
        parts = [self._label]
        if total:
            share = min(done / total, 1.0)
            filled = int(share * WIDTH)
            parts.append(f"[{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%}")
        parts.append(note)
        if total and 0 < done < total:
            parts.append(f"{_time(seconds * (total - done) / done)} left")
        line = "  ".join(parts)
        if self._terminal:
            click.echo("\r" + line.ljust(self._width), nl=False, err=True)
            self._width = len(line)
        else:
            click.echo(line, err=True)

    def close(self) -> None:
        """Ends the line."""
        if self._terminal and self._width:
            click.echo(err=True)
            self._width = 0


class PrefillLine:
    """Progress of a long prompt, as ``Llama.on_prefill`` tells it; a short one shows nothing."""

    def __init__(self) -> None:
        self._line: ProgressLine | None = None

    def show(self, done: int, total: int, seconds: float) -> None:
        """A batch is done."""
        rate = done / seconds if seconds > 0 else 0.0
        if self._line is None and rate and total / rate >= LONG_PREFILL:
            self._line = ProgressLine("reading")
        if self._line is not None:
            self._line.show(done, total, seconds, f"{done}/{total} tokens  {rate:.0f} tok/s")

    def close(self) -> None:
        """Ends the line, if there is one; another prompt may follow."""
        if self._line is not None:
            self._line.close()
            self._line = None


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
