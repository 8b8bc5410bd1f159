"""Cancels of an Engine's requests: at any moment, from any thread; nothing that is being drawn with is freed."""

from __future__ import annotations

import random
import threading

import pytest
from company import integrity
from one_model import ALONE

from hd_edge import Engine
from hd_edge.batching.request import Request

PROMPTS = ["the cat sat on the mat", "a dog", "the cat sat on the mat and then the cat"]


@pytest.fixture
def engine(models):
    with Engine(str(models("Q4_0")), parallel=3, n_ctx=256, **ALONE) as made:
        yield made


def test_cancel_while_it_is_admitted_ends_it_once(engine, monkeypatch):
    """Its samplers are freed when it has ended: it must not run on then."""
    loop, ended = engine._loop, []
    admit, end = loop._slots.admit, Request.end

    def cancelling(*arguments):
        slot = admit(*arguments)
        if loop._waiting:
            loop.cancel(loop._waiting[0])
        return slot

    def ending(request, error=None):
        ended.append(request in loop.running)
        end(request, error)

    monkeypatch.setattr(Request, "end", ending)
    monkeypatch.setattr(loop._slots, "admit", cancelling)
    engine.submit(PROMPTS[0], max_tokens=40, temperature=0.8).result(60)
    assert ended == [False]


def cancel_at_random(engine, survival, count, seed):
    survival.what = "cancels of an Engine's requests at random moments"
    choose = random.Random(seed)
    want = {text: engine.submit(text, max_tokens=20, temperature=0.0).result(60)["choices"] for text in PROMPTS}
    for _ in range(count):
        with survival.case():
            left = [engine.submit(choose.choice(PROMPTS), max_tokens=60, temperature=0.8) for _ in range(3)]
            timers = [threading.Timer(choose.uniform(0.0, 0.02), handle.cancel) for handle in left]
            for timer in timers:
                timer.start()
            text = choose.choice(PROMPTS)
            assert engine.submit(text, max_tokens=20, temperature=0.0).result(60)["choices"] == want[text]
            for timer in timers:
                timer.join()
    assert integrity(engine) == ""


def test_twenty_times_three_cancels(engine, survival):
    cancel_at_random(engine, survival, 20, seed=1)


@pytest.mark.slow
def test_two_hundred_times_three_cancels(engine, survival):
    cancel_at_random(engine, survival, 200, seed=2)
