"""Turn and Life without a model: who waits, who is refused, what a cancel is for, and what happens late."""

from __future__ import annotations

import gc
import threading

import pytest
from lives import Blocked, Model, finished, in_thread

from hd_edge import ClosedError, DecodeError


@pytest.fixture
def model():
    return Model()


def test_a_generation_gives_what_it_gives_and_takes_what_is_sent(model):
    def echo():
        got = yield 0
        while got is not None:
            got = yield got * 2

    steps = model.life.steps(echo())
    assert [next(steps), steps.send(3), steps.send(4)] == [0, 6, 8]
    with pytest.raises(StopIteration):
        next(steps)


def test_others_wait_for_the_turn(model):
    holder = Blocked(model)
    waiting, out = in_thread(lambda: list(model.life.steps(model.numbers(n=3))))
    waiting.join(0.05)
    assert waiting.is_alive()
    holder.release()
    finished(waiting)
    assert out == [[0, 1, 2]]


def test_reading_waits_for_nobody_who_computes(model):
    holder = Blocked(model)
    reading, out = in_thread(lambda: model.life.read(lambda: "read"))
    finished(reading)
    assert out == ["read"]
    holder.release()


def test_another_use_ends_a_generation_that_rests(model):
    first = model.life.steps(model.numbers("first"))
    next(first)
    second = model.life.steps(model.numbers("second"))
    assert next(second) == 0
    assert model.ended == ["first"]
    with pytest.raises(DecodeError, match="ended when another generation, or another call, began"):
        next(first)
    assert next(second) == 1
    with model.life.operation():
        assert model.ended == ["first", "second"]
    with pytest.raises(DecodeError, match="use one at a time"):
        next(second)


def test_a_call_runs_generations_and_keeps_others_out(model):
    with model.life.call():
        steps = model.life.steps(model.numbers(n=2))
        assert next(steps) == 0
        other, out = in_thread(lambda: list(model.life.steps(model.numbers("other", n=1))))
        other.join(0.05)
        assert other.is_alive()
        assert list(steps) == [1]
    finished(other)
    assert out == [[0]]


def test_nothing_comes_between_the_parts_of_a_step(model):
    refused = []

    def within():
        with model.life.part():  # the step's own
            yield 1
        for use in (model.life.part, model.life.call, model.life.operation):
            with pytest.raises(DecodeError, match="within a step of this very thread"):
                model.life.callback(lambda use=use: use().__enter__())()
            refused.append(use)
        with pytest.raises(DecodeError, match="within a step"):
            next(model.life.steps(model.numbers()))
        with model.life.part():
            yield 2

    assert list(model.life.steps(within())) == [1, 2]
    assert len(refused) == 3


def test_cancel_is_for_what_runs_or_rests_and_for_nothing_else(model):
    model.life.cancel()
    assert not model.flag.cancelled  # nothing to cancel
    steps = model.life.steps(model.numbers())
    next(steps)
    model.life.cancel()  # it rests
    assert list(steps) == []
    assert not model.flag.cancelled
    assert len(list(model.life.steps(model.numbers()))) == 10
    holder = Blocked(model)
    model.life.cancel()
    assert model.flag.cancelled
    holder.release()
    assert not model.flag.cancelled


def test_a_cancel_ends_with_the_generation_it_was_for(model):
    first = model.life.steps(model.numbers())
    next(first)
    model.life.cancel()
    assert len(list(model.life.steps(model.numbers()))) == 10


def test_an_interrupted_turn_leaves_nothing_to_the_next(model):
    """As if a signal had raised before the end of a turn was written down."""
    model.life.taken = model.life._stepping = model.life._in_callback = True
    model.flag.cancel()
    assert len(list(model.life.steps(model.numbers()))) == 10
    with model.life.call(), model.life.operation():
        pass
    finished(in_thread(lambda: list(model.life.steps(model.numbers())))[0])


def test_close_waits_for_the_step_and_ends_the_generation(model):
    steps = model.life.steps(model.numbers())
    next(steps)
    holder = Blocked(model, ends=False)
    closing, _ = in_thread(lambda: model.life.close(model.free))
    closing.join(0.05)
    assert closing.is_alive()
    assert model.flag.cancelled
    assert model.freed == 0
    holder.release()
    finished(closing)
    assert model.freed == 1
    assert model.ended == ["a"]
    with pytest.raises(ClosedError, match="load it again"):
        next(steps)


@pytest.mark.parametrize("use", ["steps", "call", "operation", "read", "chunks"])
def test_whatever_comes_after_close_is_refused(model, use):
    model.life.close(model.free)
    model.life.close(model.free)
    assert model.freed == 1
    with pytest.raises(ClosedError):
        if use == "steps":
            next(model.life.steps(model.numbers()))
        elif use == "chunks":
            next(model.life.chunks(model.numbers()))
        elif use == "read":
            model.life.read(lambda: None)
        else:
            getattr(model.life, use)().__enter__()
    model.life.cancel()


def test_whoever_waited_when_the_model_was_closed_is_refused(model):
    holder = Blocked(model)
    waiting, out = in_thread(lambda: next(model.life.steps(model.numbers())))
    closing, _ = in_thread(lambda: model.life.close(model.free))
    closing.join(0.05)
    holder.release()
    finished(closing)
    finished(waiting)
    assert isinstance(out[0], ClosedError)


def test_a_generation_that_was_running_says_that_the_model_was_closed(model):
    def run():
        yield 0
        model.life.callback(model.life.close)(model.free)  # from a stopping criterion, say
        assert model.freed == 0
        yield 1

    steps = model.life.steps(run())
    assert next(steps) == 0
    assert next(steps) == 1
    assert model.freed == 1
    with pytest.raises(ClosedError):
        next(steps)


def test_a_dropped_generation_ends_when_the_turn_is_free(model):
    steps = model.life.steps(model.numbers())
    next(steps)
    holder = Blocked(model, ends=False)
    del steps  # the holder has the turn: nobody may wait here, the collector could run in any thread
    gc.collect()
    assert model.ended == []
    holder.release()
    assert model.ended == ["a"]
    assert model.life.later(lambda: model.ended.append("b")) is None
    assert model.ended == ["a", "b"]


def test_the_end_of_the_interpreter_does_not_wait_for_ever(model):
    holder = Blocked(model)
    model.life.end_with_interpreter(0.01)
    assert model.freed == 0
    assert model.flag.cancelled
    holder.release()
    model.life.close(model.free)  # from __del__, while the interpreter ends
    assert model.freed == 0


def test_after_the_end_of_the_interpreter_close_waits_for_nobody(model):
    """A daemon thread that is no more may hold every lock."""
    model.life.end_with_interpreter(1.0)
    assert model.freed == 1
    stopped, go = threading.Event(), threading.Event()

    def hold():
        with model.life._state, model.life._lock:
            stopped.set()
            go.wait(60)

    holding, _ = in_thread(hold)
    assert stopped.wait(60)
    closing, out = in_thread(lambda: model.life.close(model.free))
    finished(closing)
    assert (out, model.freed) == ([None], 1)
    go.set()
    finished(holding)


def test_a_machine_that_is_gone_is_noticed_before_each_use(model):
    """Also between the steps of a call, in a part of a step, and in a spare turn; what uses nothing goes on."""
    gone = []

    def check():
        if gone:
            msg = "gone"
            raise DecodeError(msg)

    model.life.check = check
    with model.life.call():
        steps = model.life.steps(model.numbers())
        assert next(steps) == 0
        gone.append(True)
        with pytest.raises(DecodeError, match="gone"):
            next(steps)
    assert model.ended == ["a"]
    gone.clear()
    with model.life.operation():
        gone.append(True)
        with pytest.raises(DecodeError, match="gone"):
            model.life.part()
        with pytest.raises(DecodeError, match="gone"), model.life.spare():
            pass
    model.life.wanted = False
    with pytest.raises(DecodeError, match="gone"), model.life.spare():
        pass
    with model.life.operation(uses=False):
        pass
    assert not model.life.taken
    model.life.close(model.free)
    assert model.freed == 1


def test_many_threads_steps_cancels_and_drops():
    """Steps of one model never overlap, and every generation ends once."""
    model = Model()
    inside, most = 0, 0

    def numbers(name):
        nonlocal inside, most
        try:
            for i in range(20):
                inside += 1
                most = max(most, inside)
                inside -= 1
                yield i
        finally:
            model.ended.append(name)

    def work(seed):
        for i in range(100):
            steps = model.life.steps(numbers((seed, i)))
            try:
                for _ in range((seed * 31 + i * 17) % 25):
                    next(steps, None)
                if i % 3 == 0:
                    model.life.cancel()
            except DecodeError:
                continue

    threads = [in_thread(lambda seed=seed: work(seed))[0] for seed in range(6)]
    for thread in threads:
        finished(thread)
    gc.collect()
    assert most == 1
    assert len(model.ended) == len(set(model.ended))
    assert not model.flag.cancelled
    model.life.close(model.free)
    assert model.freed == 1
