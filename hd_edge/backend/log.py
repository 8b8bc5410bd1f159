"""llama.cpp's log, taken aside for a moment where our errors say more than its lines."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llama_cpp import _logger
from llama_cpp import llama_cpp as lib

from hd_edge import _native

from .signals import held_signals

process_lock = threading.Lock()


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """Collects what llama.cpp logs in this block, from whatever thread, instead of printing it."""
    lines: list[str] = []
    before, data = lib.llama_log_callback(), ctypes.c_void_p()
    with held_signals(), process_lock:
        callback = lib.llama_log_callback(lambda _level, text, _data: lines.append(text.decode("utf-8", "replace")))
        lib.llama_log_get(ctypes.byref(before), ctypes.byref(data))
        lib.llama_log_set(callback, None)
        try:
            yield lines
        finally:
            lib.llama_log_set(before, data)


def quiet_aborts() -> None:
    """llama_cpp prints no line for each cancelled forward, from now on; a callback of somebody's own hears them."""
    functions = lib._lib.llama_log_get, lib._lib.llama_log_set, _logger.llama_log_callback
    with process_lock:
        _native.filter_log(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions))
