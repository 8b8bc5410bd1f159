"""The saver copies in spare turns of the model, never while a generation runs, and before the model is closed."""

import os
import threading

import numpy as np
import pytest
from fake_state import Conversation, again, rows_of

from hd_edge.prefix import saver as saver_module
from hd_edge.prefix.pieces import PIECE
from hd_edge.prefix.saver import IDLE

BASE = np.random.default_rng(3).integers(0, 1000, 1200).tolist()


def test_saving_begins_by_itself_when_nobody_generates(talk, tmp_path):
    talk.answer(BASE)
    thread = talk.cache.saver._thread
    assert thread is not None
    while len(list(tmp_path.glob("*/*.kv"))) * PIECE < len(BASE):
        assert thread.is_alive()
        thread.join(0.01)
    talk.close()
    assert not thread.is_alive()


def test_nothing_is_saved_while_a_generation_runs(talk):
    talk.answer(BASE)
    talk.cache.enter()
    with talk.cache.saver._changed:  # the saver has had its chance to notice
        assert not talk.cache.saver._changed.wait(2 * IDLE)
    assert talk.state.saves == 0
    talk.cache.leave()


def test_a_turn_of_somebody_else_keeps_the_saver_out(talk):
    """It asks before each piece, and goes on where it stopped once nobody has the turn."""
    talk.answer(BASE)
    has, done = threading.Event(), threading.Event()

    def somebody():
        with talk.turn.have(steps=True):
            has.set()
            done.wait()

    save = talk.state.save
    other = threading.Thread(target=somebody)

    def first(start, stop):
        if not talk.turn.wanted:
            other.start()
            while not talk.turn.wanted:  # it waits now
                other.join(0.001)
        return save(start, stop)

    talk.state.save = first
    talk.cache.saver.flush()
    assert talk.state.saves == 1
    assert has.wait(10)
    talk.cache.saver.flush()
    assert talk.state.saves == 1
    done.set()
    other.join()
    talk.state.save = save
    talk.cache.saver.flush()
    talk.close()
    assert talk.state.saves == -(-len(BASE) // PIECE)


def test_closing_saves_in_the_turn_of_who_closes(talk, tmp_path):
    """The saver's thread cannot have the turn then, nor may it come later."""
    talk.answer(BASE)
    threads = []
    save = talk.state.save
    talk.state.save = lambda start, stop: threads.append(threading.current_thread()) or save(start, stop)
    talk.close()
    assert set(threads) == {threading.current_thread()}
    assert len(list(tmp_path.glob("*/*.kv"))) == -(-len(BASE) // PIECE)


def test_closing_waits_for_the_copy_under_way(talk, tmp_path):
    talk.answer(BASE)
    copying, go = threading.Event(), threading.Event()
    order = []
    save = talk.state.save

    def slow(start, stop):
        if not copying.is_set():
            copying.set()
            go.wait()
            order.append("copied")
        return save(start, stop)

    talk.state.save = slow
    assert copying.wait(10)
    closer = threading.Thread(target=lambda: (talk.close(), order.append("closed")))
    closer.start()
    while not talk.turn.wanted:
        closer.join(0.001)
    assert order == []
    go.set()
    closer.join()
    assert order == ["copied", "closed"]
    assert again(tmp_path, BASE) == len(BASE) - 1


def test_what_the_cache_holds_now_is_saved(talk, tmp_path, opened):
    talk.answer(BASE)
    with talk.turn.have(steps=True):
        talk.live = [8] * 300  # somebody evaluated something else
        talk.state.rows = rows_of(talk.live)
    talk.close()
    talk = opened(Conversation(tmp_path))
    assert talk.answer(BASE) == 0
    assert talk.answer([8] * 300) == 299


def test_state_that_changed_between_two_pieces_is_not_saved(talk, tmp_path):
    talk.answer(BASE)
    save = talk.state.save

    def changed(start, stop):
        blob = save(start, stop)
        talk.live = [8] * 300
        talk.state.rows = rows_of(talk.live)
        return blob

    talk.state.save = changed
    talk.cache.saver.flush()
    assert talk.state.saves == 1
    talk.close()
    assert again(tmp_path, [8] * 300) == 299  # what it holds in the end is


@pytest.mark.parametrize("end", ["leave", "close"])
def test_a_forked_child_waits_for_no_lock_of_its_parents_threads(tmp_path, end):
    """The child has the lock as the fork found it, and nobody who would give it back."""
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    saver, memory = talk.cache.saver, talk.cache.memory
    held, done = threading.Event(), threading.Event()

    def hold():
        with saver._changed, memory._lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    talk.cache._pid = -1  # as in a child
    child = threading.Thread(target=talk.cache.leave if end == "leave" else lambda: talk.cache.close([]), daemon=True)
    child.start()
    child.join(30)
    stuck = child.is_alive()
    done.set()
    holder.join()
    assert not stuck
    assert talk.cache.saver._thread is (saver._thread if end == "leave" else None)  # none of its own
    saver.close(BASE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_for_who_saves(talk):
    saver = talk.cache.saver
    saver_module._savers.hold()
    try:
        free = []
        other = threading.Thread(target=lambda: free.append(saver.saving.acquire(blocking=False)))
        other.start()
        other.join()
        assert free == [False]
    finally:
        saver_module._savers.let_go()
    assert saver_module._savers._held == {}
