"""Ctrl-C while a model loads, while it computes, and while it stops."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hd_edge.backend.signals import is_ignored
from hd_edge.engine.running import Arrival, RunningStream

if TYPE_CHECKING:
    from hd_edge import Llama

ENDS = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]


@contextmanager
def ends_at_ctrl_c() -> Iterator[None]:
    """Ctrl-C ends the process in this block, with status 130, whatever it is doing.

    While a model loads, Python runs in llama.cpp's callbacks only, and an exception raised in one of them is lost. So a
    thread reads the signal from the pipe into which the interpreter writes it. Nothing is half written: a store opens
    after the model.
    """
    if threading.current_thread() is not threading.main_thread() or is_ignored(signal.SIGINT):
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


@contextmanager
def once() -> Iterator[None]:
    """In this block Ctrl-C is a KeyboardInterrupt the first time only: who presses it again means the same.

    So are SIGTERM and a terminal that is closed; they end the process behind the block, which leaves in order.

    Raises:
        SystemExit: With 128 and the signal's number, as shells tell it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []

    def interrupt(number: int, _: Any) -> None:
        asked.append(number)
        if len(asked) == 1:
            raise KeyboardInterrupt

    ends = [number for number in ENDS if signal.getsignal(number) == signal.SIG_DFL]
    stops = [] if is_ignored(signal.SIGINT) else [signal.SIGINT]
    before = {number: signal.signal(number, interrupt) for number in (*stops, *ends)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if status := next((128 + number for number in asked if number != signal.SIGINT), 0):
            raise SystemExit(status)


@contextmanager
def leaves_in_order() -> Iterator[None]:
    """In this block SIGTERM and a terminal that is closed are exceptions: what a prompt did to the terminal is undone.

    Raises:
        SystemExit: With 128 and the signal's number, as shells tell it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: Any) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = [number for number in ENDS if signal.getsignal(number) == signal.SIG_DFL]
    for number in before:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_DFL)


def in_thread(llm: Llama, make: Callable[[], Any]) -> Iterator[Any]:
    """What arrives of a stream that runs in a thread: Ctrl-C reaches this one at once, also during a long forward.

    Args:
        llm: The model; the end of this iterator stops its generation.
        make: Begins the stream.
    """
    arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
    running = RunningStream(llm, make, arrivals.put)
    try:
        running.start()
        while (arrival := arrivals.get()).chunk is not None:
            yield arrival
    finally:
        running.stop()
    if arrival.error is not None:
        raise arrival.error
