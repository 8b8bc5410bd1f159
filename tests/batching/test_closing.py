"""Closing an engine where one would not expect it: every request ends and is told why, and the model is freed once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading

import pytest
from llama_cpp import StoppingCriteriaList
from one_model import ALONE

from hd_edge import ClosedError, DecodeError, Engine
from hd_edge.engine.running import RunningStream

LONG = {"max_tokens": 2000, "temperature": 0.0}
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@pytest.fixture
def engine(models, opened):
    return opened(Engine(str(models("Q4_0")), parallel=2, n_ctx=2048, **ALONE))


@pytest.fixture
def freed(monkeypatch):
    """Engines' models that were freed, and by which thread."""
    done, out = threading.Event(), []
    from hd_edge.batching.shared_llama import SharedLlama

    free = SharedLlama._free

    def note(self):
        free(self)
        out.append(threading.current_thread().name)
        done.set()

    monkeypatch.setattr(SharedLlama, "_free", note)
    return done, out


def joined(*threads):
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def refused(*handles):
    for handle in handles:
        with pytest.raises(ClosedError):
            handle.result(60)


def test_close_within_a_stopping_criterion(engine, freed):
    """It runs in the engine's own thread, which cannot wait for itself."""
    called, asked = [], threading.Event()

    def stop(*_):
        asked.wait(60)
        if not called:
            called.append(engine.close())
        return False

    handle = engine.submit([1, 300], stopping_criteria=StoppingCriteriaList([stop]), **LONG)
    others = [engine.submit([1, 301], **LONG) for _ in range(3)]
    asked.set()
    refused(handle, *others)
    assert freed[0].wait(60)
    engine.close()
    assert (called, len(freed[1])) == ([None], 1)
    with pytest.raises(ClosedError):
        engine.submit([1, 300])


def test_close_within_the_thread_of_a_request(engine, freed):
    """Two of them at once: each is within a step that the other would wait for."""
    all_asked, out = threading.Barrier(3), []

    def told(*_):
        all_asked.wait(60)
        out.append(engine.close())

    for seat in engine.seats:
        seat.on_prefill = told
    handles = [engine.submit([1, 300 + i], **LONG) for i in range(3)]
    all_asked.wait(60)
    refused(*handles)
    assert freed[0].wait(60)
    engine.close()
    assert (out, len(freed[1])) == ([None, None], 1)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that sends a signal")
def test_close_within_a_close_that_a_signal_interrupts(models, opened):
    """The handler runs where the thread of the first one waits: not in ``Thread.join``, whose lock it may hold then."""
    before, closed = signal.getsignal(signal.SIGALRM), []
    for place in range(8):
        engine = opened(Engine(str(models("Q4_0")), parallel=2, n_ctx=2048, **ALONE))
        handle = engine.submit([1, 300], **LONG)
        end = engine._loop.stop
        engine._loop._thread.join = lambda *_: pytest.fail("the handler's would wait for ever for this one's lock")

        def stop(end=end, wait=2e-4 * (place + 1)):
            end()
            signal.setitimer(signal.ITIMER_REAL, wait)

        engine._loop.stop = stop

        def handler(*_, engine=engine, end=end):
            engine._loop.stop = end
            closed.append(engine.close())

        signal.signal(signal.SIGALRM, handler)
        try:
            engine.close()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        refused(handle)
    assert closed


@pytest.mark.parametrize("interrupted", ["close", "submit"])
def test_close_within_the_lock_that_a_signals_handler_interrupts(engine, freed, monkeypatch, interrupted):
    """The engine's thread needs that lock to end: the handler cannot wait for it."""
    engine.submit([1, 300], **LONG)
    notify, done = engine._loop._wake.notify, []

    def handler():
        monkeypatch.setattr(engine._loop._wake, "notify", notify)
        notify()
        done.append(engine.close())  # this test hangs here, or it does not
        assert not freed[0].is_set()

    monkeypatch.setattr(engine._loop._wake, "notify", handler)
    if interrupted == "submit":
        refused(engine.submit([1, 301], **LONG))
    else:
        engine.close()
    assert freed[0].wait(60)
    engine.close()
    assert (done, len(freed[1])) == ([None], 1)


def test_the_model_of_an_engine_makes_no_text_of_its_own(engine):
    asked = "a b c a b c", 12
    said = engine.submit(asked[0], max_tokens=asked[1], temperature=0.0).result(60)["choices"]
    for ask in (
        lambda: engine.model.create_completion(asked[0], max_tokens=8),
        lambda: engine.model.create_chat_completion([{"role": "user", "content": "a"}]),
        lambda: next(engine.model.generate([1, 2, 3])),
        lambda: engine.model.eval([5]),
        engine.model.sample,
        engine.model.reset,
        engine.model.save_state,
        lambda: engine.model.embed("a"),
    ):
        with pytest.raises(DecodeError, match="shared by many conversations"):
            ask()
    assert engine.model.detokenize(engine.model.tokenize(b"a b")) == b"a b"
    assert engine.submit(asked[0], max_tokens=asked[1], temperature=0.0).result(60)["choices"] == said


def test_close_from_many_threads(engine, freed):
    handles = [engine.submit([1, 300 + i], **LONG) for i in range(4)]
    closers = [threading.Thread(target=engine.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    joined(*closers)
    refused(*handles)
    assert len(freed[1]) == 1


def test_a_close_of_the_model_is_one_of_the_engine(engine, freed):
    """Else it would be freed under the requests that still read from it."""
    handles = [engine.submit([1, 300 + i], **LONG) for i in range(4)]
    engine.model.close()
    refused(*handles)
    with pytest.raises(ClosedError, match="the engine is closed"):
        engine.submit([1, 300])
    assert len(freed[1]) == 1


def test_an_engine_that_is_dropped_in_its_own_thread_is_freed(models, freed):
    """The garbage collector ends it in whatever thread it runs in, and at any moment."""
    engine = Engine(str(models("Q4_0")), parallel=1, n_ctx=2048, **ALONE)
    loop = engine._loop
    collect = threading.Event()
    turn = loop._turn

    def collecting():
        if collect.is_set():
            collect.clear()
            gc.collect()
        turn()

    loop._turn = collecting
    engine.submit([1, 300], max_tokens=1).result()
    cycle = [engine]
    cycle.append(cycle)
    gc.disable()
    try:
        del engine, cycle
        collect.set()
        for _ in range(400):
            with loop._wake:
                loop._learning = 1  # so that it looks around; the turn that ends may take it back
                loop._wake.notify()
            if freed[0].wait(0.05):
                break
        assert freed[0].is_set()
    finally:
        gc.enable()
    joined(loop._thread)


def test_a_signal_handler_may_close_it_anywhere(engine):
    """Here in the middle of submit(), with its lock held."""
    push = engine._queue.push
    running = [engine.submit([1, 300 + i], **LONG) for i in range(2)]
    before = signal.signal(signal.SIGINT, lambda *_: engine.close())
    try:
        engine._queue.push = lambda *a: (signal.raise_signal(signal.SIGINT), push(*a))
        waiting = engine.submit([1, 302], **LONG)
    finally:
        signal.signal(signal.SIGINT, before)
    refused(*running, waiting)


def test_a_request_without_a_thread_gives_its_seat_back(engine, monkeypatch):
    def start(_):
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(RunningStream, "start", start)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                engine.submit([1, 300])
    answers = [engine.submit([1, 300], max_tokens=1, temperature=0.0) for _ in range(3)]
    assert [one.result(60)["usage"]["completion_tokens"] for one in answers] == [1, 1, 1]


def test_an_event_loop_that_is_closed_with_streams_open_disturbs_nobody(engine):
    handle = engine.submit([1, 300], max_tokens=60, temperature=0.0, stream=True)
    kept = []

    async def first():
        kept.append(handle.__aiter__())
        await anext(kept[0])

    loop = asyncio.new_event_loop()
    loop.run_until_complete(first())
    loop.close()
    assert len(list(handle)) > 0
    assert handle.done
    assert engine.submit([1, 300], max_tokens=1).result(60)


@needs_fork
def test_a_forked_child_says_whose_requests_these_are(engine):
    handle, stream = engine.submit([1, 300], **LONG), engine.submit([1, 301], stream=True, **LONG)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for ask in (handle.result, lambda: list(stream), lambda: engine.submit([1, 300])):
                try:
                    ask()
                except ClosedError as error:
                    assert "process" in str(error)
                    status += 1
            engine.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert next(iter(stream))
