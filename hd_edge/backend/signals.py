"""Signals while C code may call back into Python.

A handler runs between two instructions of the main thread, also of a callback that llama.cpp calls. What it raises
there ends in ctypes, which prints it at best: a Ctrl-C while a model loads would be lost.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from hd_edge.errors import ConfigError


class HeldSignals:
    """What handlers raised meanwhile.

    Attributes:
        error: The first of it.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def around(self, handler: Any) -> Any:
        """The handler, which runs at once; what it raises is kept."""

        def run(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                self.error = self.error or error

        return run


def is_ignored(number: int) -> bool:
    """Whether the process is to ignore a signal: as under ``nohup``, or in a job that a script began with ``&``."""
    return signal.getsignal(number) == signal.SIG_IGN


def _in_main_interpreter() -> bool:
    here, main = (getattr(ctypes.pythonapi, f"PyInterpreterState_{name}") for name in ("Get", "Main"))
    here.restype = main.restype = ctypes.c_void_p
    return bool(here() == main())


@contextmanager
def held_signals() -> Iterator[HeldSignals]:
    """In this block Python's signal handlers raise nothing; the block's end raises what they did.

    Raises:
        ConfigError: This is a subinterpreter.
    """
    if not _in_main_interpreter():
        msg = (
            "this is a subinterpreter of Python: llama.cpp's first call back into it would wait for ever, and only the "
            "main one handles signals: load the model in the main interpreter, or in a process of its own"
        )
        raise ConfigError(msg)
    held = HeldSignals()
    before: dict[signal.Signals, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():  # handlers run nowhere else
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, held.around(handler))
        yield held
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held.error is not None:
            raise held.error
