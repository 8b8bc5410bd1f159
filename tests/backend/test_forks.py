"""A fork while another thread installs what a process has once: the child has all of it, and waits for nobody."""

from __future__ import annotations

import os
import threading

import pytest

from hd_edge import Llama
from hd_edge.backend import adapters, kernels, log
from hd_edge.engine import forked
from hd_edge.model import forks
from hd_edge.model.forks import HeldAtForks, Order

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@pytest.mark.parametrize(
    "lock",
    [kernels.process_lock, adapters.process_lock, log.process_lock, forked._loading],
    ids=["kernels", "adapters", "log", "loading"],
)
def test_a_fork_waits_for_who_installs(lock, monkeypatch):
    begun, asked, end, hold = threading.Event(), threading.Event(), [], HeldAtForks.hold
    monkeypatch.setattr(HeldAtForks, "hold", lambda kind: (asked.set(), hold(kind)))

    def install():
        with lock:
            begun.set()
            assert asked.wait(60)
            end.append("of the installing")

    thread = threading.Thread(target=install)
    thread.start()
    begun.wait()
    if (child := os.fork()) == 0:
        os._exit(0 if end and lock.acquire(timeout=5) else 1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_what_is_made_while_a_fork_waits_is_held_too(monkeypatch):
    class Owner:
        def __init__(self):
            self.lock = threading.RLock()

    class Making:
        """A lock that is free once another owner has been made."""

        def acquire(self, timeout):
            assert timeout > 0
            owners.append(Owner())
            held.add(owners[-1])
            return False

    monkeypatch.setattr(forks, "_kinds", {})
    held, owners = HeldAtForks("lock", Order.LOADING), [Owner()]
    owners[0].lock = Making()
    held.add(owners[0])
    held.hold()
    assert len(owners) == 2
    assert owners[1].lock._is_owned()
    held.let_go()
    assert not owners[1].lock._is_owned()


def test_locks_are_taken_in_the_order_in_which_threads_take_them(monkeypatch):
    class Owner:
        def __init__(self, name):
            self.acquire = lambda timeout: told.append(name) or True
            self.release = lambda: told.append(f"-{name}")
            self.lock = self

    told, owners = [], [Owner("file"), Owner("loading"), Owner("saver")]
    monkeypatch.setattr(forks, "_kinds", {})
    for owner, order in zip(owners, (Order.FILE, Order.LOADING, Order.SAVER), strict=True):
        HeldAtForks("lock", order).add(owner)
    forks._hold()
    forks._let_go()
    assert told == ["loading", "saver", "file", "-file", "-saver", "-loading"]


def test_a_fork_while_others_load_gets_all_locks(models):
    """It has the lock of whoever loads before those that such a thread takes then."""
    asked, path = [], str(models("Q4_0"))

    def load():
        while not asked:
            Llama(path, n_ctx=64, n_threads=1, n_threads_batch=1, verbose=False, store=None).close()

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            forks._hold()
            held = [len(forks._kinds[order]._held[threading.get_ident()]) for order in (Order.LOADING, Order.PROCESS)]
            forks._let_go()
            assert held == [1, 3]
    finally:
        asked.append(True)
        for thread in threads:
            thread.join()


def test_two_threads_that_fork_at_once_give_back_their_own(monkeypatch):
    class Owner:
        """A lock that another thread takes as soon as this one gives it back."""

        def __init__(self):
            self.lock, self.released = self, []

        def acquire(self, timeout):
            return True

        def release(self):
            self.released.append(threading.get_ident())
            if len(self.released) == 1:
                other = threading.Thread(target=kind.hold)
                other.start()
                other.join()

    monkeypatch.setattr(forks, "_kinds", {})
    kind, owner = HeldAtForks("lock", Order.LOADING), Owner()
    kind.add(owner)
    kind.hold()
    kind.let_go()
    assert owner.released == [threading.get_ident()]
