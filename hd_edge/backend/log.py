"""llama.cpp's log, taken aside for a moment where our errors say more than its lines."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from llama_cpp import llama_cpp as lib

from hd_edge import _native

from .signals import held_signals

_LOCK = threading.RLock()


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """Collects what llama.cpp logs in this block, from whatever thread, instead of printing it."""
    lines: list[str] = []
    before, data = lib.llama_log_callback(), ctypes.c_void_p()
    with held_signals(), _LOCK:
        callback = lib.llama_log_callback(lambda _level, text, _data: lines.append(text.decode("utf-8", "replace")))
        lib.llama_log_get(ctypes.byref(before), ctypes.byref(data))
        lib.llama_log_set(callback, None)
        try:
            yield lines
        finally:
            lib.llama_log_set(before, data)


@contextmanager
def captured_stderr(pattern: bytes) -> Iterator[list[bytes]]:
    """Takes away what C code prints to stderr in this block, as far as it matches; all else is printed after it.

    Holds for the whole process, so the block should be short.

    Args:
        pattern: Regular expression with one group.

    Yields:
        Filled at the block's end: what the group matched.
    """
    found: list[bytes] = []
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing is printed
        yield found
        return
    with _LOCK, _file_in_memory() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield found
        finally:
            os.dup2(kept, 2)
            file.seek(0)
            text = file.read()
            if match := re.search(pattern, text, re.DOTALL):
                found.append(match[1])
                text = text[: match.start()] + text[match.end() :]
            with suppress(OSError), os.fdopen(kept, "wb") as stderr:
                stderr.write(text)


def _file_in_memory() -> IO[bytes]:
    if make := getattr(os, "memfd_create", None):
        return os.fdopen(make("stderr"), "w+b")
    return tempfile.TemporaryFile()


def quiet_aborts() -> None:
    """No line for each forward that was cancelled, from now on; other lines go where they went."""
    get, set_ = (
        ctypes.cast(getattr(lib._lib, name), ctypes.c_void_p).value for name in ("llama_log_get", "llama_log_set")
    )
    with _LOCK:
        _native.filter_log(get or 0, set_ or 0)
