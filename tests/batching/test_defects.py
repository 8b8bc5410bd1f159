"""A defect ends an engine for good: whoever waits and whoever comes is told, and who had ended has the answer."""

from __future__ import annotations

import pytest
from lives import finished
from one_model import ALONE

from hd_edge import ClosedError, Engine

LONG = {"max_tokens": 2000, "temperature": 0.0}


@pytest.fixture
def engine(models, opened):
    return opened(Engine(str(models("Q4_0")), parallel=2, n_ctx=2048, **ALONE))


def test_who_ends_as_a_defect_comes_has_the_answer(engine, monkeypatch):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr(engine._prefixes, "ended", fails)
    first = engine.submit([1, 300], max_tokens=4, temperature=0.0)
    assert len(first.result(60)["choices"]) == 1
    finished(engine._loop._thread)
    with pytest.raises(ClosedError, match="a defect ended it, MemoryError"):
        engine.submit([1, 300], **LONG).result(60)


def test_a_defect_is_told_to_those_who_wait_and_to_those_who_come(engine, monkeypatch):
    def divides(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(engine._loop.budget, "observe", divides)
    assert engine.seats[0].answers
    for _ in range(2):
        with pytest.raises(ClosedError, match=r"make a new one .*; a defect ended it, ZeroDivisionError"):
            engine.submit("a b c", **LONG).result(60)
        finished(engine._loop._thread)
    assert not engine.seats[0].answers
