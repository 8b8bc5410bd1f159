"""llama.cpp's log, taken aside for a moment where our errors say more than its lines."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llama_cpp import llama_cpp as lib

_LOCK = threading.Lock()


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """Collects what llama.cpp logs in this block, from whatever thread, instead of printing it."""
    lines: list[str] = []
    with _LOCK:
        before, data = lib.llama_log_callback(), ctypes.c_void_p()
        lib.llama_log_get(ctypes.byref(before), ctypes.byref(data))
        callback = lib.llama_log_callback(lambda _level, text, _data: lines.append(text.decode("utf-8", "replace")))
        lib.llama_log_set(callback, None)
        try:
            yield lines
        finally:
            lib.llama_log_set(before, data)
