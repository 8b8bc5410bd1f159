"""Ctrl-C while a model loads."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ends_at_ctrl_c() -> Iterator[None]:
    """Ctrl-C ends the process in this block, with status 130, whatever it is doing.

    While a model loads, Python runs in llama.cpp's callbacks only, and an exception raised in one of them is lost. So a
    thread reads the signal from the pipe into which the interpreter writes it. Nothing is half written: a store opens
    after the model.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while (number := reader.recv(1)) and number[0] != signal.SIGINT:
            pass
        if number:
            os._exit(130)

    watcher = threading.Thread(target=watch, daemon=True)
    handler = signal.signal(signal.SIGINT, lambda *_: None)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGINT, handler)
        writer.close()  # ends the watcher
        watcher.join()
        reader.close()
