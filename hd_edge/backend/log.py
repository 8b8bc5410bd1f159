"""llama.cpp's log: taken aside for a moment, because its lines tell users of hd_edge nothing that our errors do not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llama_cpp import _logger
from llama_cpp import llama_cpp as lib

_LOCK = threading.Lock()


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """Collects what llama.cpp logs in this block, from whatever thread, instead of printing it."""
    lines: list[str] = []
    with _LOCK:
        callback = lib.llama_log_callback(lambda _level, text, _data: lines.append(text.decode("utf-8", "replace")))
        lib.llama_log_set(callback, None)
        try:
            yield lines
        finally:
            lib.llama_log_set(_logger.llama_log_callback, None)
