"""A model without weights that has a life, and threads that a test can hold."""

from __future__ import annotations

import threading

from hd_edge.engine.life import Life


class Flag:
    """Counts what reaches a context's abort flag."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def clear_cancel(self) -> None:
        self.cancelled = False


class Model:
    """What a life belongs to."""

    def __init__(self) -> None:
        self.freed = 0
        self.ended: list[str] = []
        self.flag = Flag()
        self.life = Life(self.free)
        self.life.attach(self.flag)

    def free(self) -> None:
        self.freed += 1

    def numbers(self, name="a", n=10):
        try:
            for i in range(n):
                if self.flag.cancelled:
                    return
                yield i
        finally:
            self.ended.append(name)


def in_thread(function):
    """What a function gave, or raised, in another thread."""
    out = []

    def run():
        try:
            out.append(function())
        except Exception as error:
            out.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, out


def finished(thread):
    thread.join(60)
    assert not thread.is_alive()


class Blocked:
    """A thread that has the turn until it is let go."""

    def __init__(self, model, **kinds):
        self.inside, self.go = threading.Event(), threading.Event()

        def hold():
            with model.life.operation(**kinds):
                self.inside.set()
                assert self.go.wait(60)

        self.thread, self.out = in_thread(hold)
        assert self.inside.wait(60)

    def release(self):
        self.go.set()
        finished(self.thread)
