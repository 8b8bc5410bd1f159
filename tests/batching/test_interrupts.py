"""A signal's handler may run wherever the interpreter lets it: it raises there, or closes the engine."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest
from lives import finished, in_thread
from one_model import ALONE
from raising_handler import RaisingHandler

from hd_edge import ClosedError, Engine
from hd_edge.batching import engine as module
from hd_edge.engine import running

FILES = (module.__file__.removesuffix("engine.py"), running.__file__)
PLACES = 300  # more than any of these calls has


def ended(call):
    """What a call gives or raises, in a thread: one that hangs fails the test."""
    thread, told = in_thread(call)
    finished(thread)
    return told[0]


def test_a_request_that_is_interrupted_keeps_no_seat(models):
    with Engine(str(models("Q4_0")), parallel=1, n_ctx=256, **ALONE) as engine:
        for number in range(PLACES):
            came = RaisingHandler(KeyboardInterrupt, FILES, number).run(lambda: engine.submit([1, 300], max_tokens=1))
            answer = ended(lambda: engine.submit([1, 300], max_tokens=1).result(20))
            assert isinstance(answer, dict), (number, answer)
            if not came:
                break
    assert 20 < number < PLACES - 1


@pytest.mark.parametrize("handler", ["raises", "closes"])
@pytest.mark.parametrize("call", ["close", "cancel", "submit"])
def test_all_are_told_whatever_interrupts(models, call, handler):
    gc.collect()
    kept = []  # no collector ends an engine while the handler may come
    for number in range(PLACES):
        engine = Engine(str(models("Q4_0")), parallel=1, n_ctx=256, **ALONE)
        kept.append(engine)
        handles = [engine.submit([1, 300 + place], max_tokens=100, user=str(place)) for place in range(3)]
        calls = {
            "close": engine.close,
            "cancel": handles[1].cancel,
            "submit": lambda engine=engine, handles=handles: handles.append(engine.submit([1, 310], max_tokens=2)),
        }
        with suppress(ClosedError):
            interrupts = RaisingHandler(
                KeyboardInterrupt, FILES, number, does=engine.close if handler == "closes" else None
            )
            interrupts.run(calls[call])
        assert ended(engine.close) is None
        for handle in handles:
            assert not isinstance(ended(lambda handle=handle: handle.result(10)), TimeoutError), number
        if not interrupts.raised:
            break
    assert 4 < number < PLACES - 1
