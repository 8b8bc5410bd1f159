"""Signals whose handlers raise while an answer is made: what was handed out counts once, here and in the store."""

from __future__ import annotations

import dis
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import hd_edge
from hd_edge import Llama
from hd_edge.store.store import Store

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="handlers run between any two instructions")
PACKAGE = str(Path(hd_edge.__file__).parent)
SETTINGS = {"n_ctx": 256, "n_threads": 1, "n_threads_batch": 1, "statistics": None, "prefix_cache": None}
PROMPT = [1, 300, 301, 302]
TOKENS = 4


class Boom(Exception):
    """What a handler raises."""


@cache
def behind(code):
    """Where the interpreter runs handlers: behind a call, at the begin of a function, and where a loop begins again."""
    steps = pairwise(dis.get_instructions(code))
    return {after.offset for step, after in steps if step.opname.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))}


class Signal:
    """Raises where a handler may in hd_edge's own code; once."""

    def __init__(self, number):
        self.left = number

    def __call__(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti in behind(frame.f_code):
            self.left -= 1
            if self.left == -1:
                raise Boom
        return self

    def run(self, use):
        """Whether it came in time."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            use()
        except Boom:
            pass
        finally:
            sys.settrace(before)
        return self.left < 0


def handed_out(llm, into):
    generation = llm.generate(PROMPT, temp=0.0)
    for token in generation:
        into.append(token)
        if len(into) == TOKENS:
            break
    generation.close()


def interrupted(model, path, numbers):
    """Generations that are interrupted at these places, each followed by one that is not; False where one never was."""
    llm = Llama(model, store=path, **SETTINGS)
    base = answers = 0
    for number in numbers:
        out = []
        came = Signal(number).run(lambda into=out: handed_out(llm, into))
        said = llm.stats.tokens if llm.total_stats.tokens > base else 0
        assert said - len(out) in (0, 1), number  # one may be on its way
        assert llm.total_stats.tokens == base + said, number
        handed_out(llm, again := [])
        llm.catch_up()
        assert len(again) == TOKENS
        base += said + TOKENS
        counters = llm._hierarchy.model.store.counters()
        assert llm.total_stats.tokens == counters["tokens"] == base, number
        assert counters["answers"] - answers in ((1, 2) if said else (1,)), number
        answers = counters["answers"]
        if not came:
            break
    llm.close()
    with Store(path) as store:
        assert store.counters()["tokens"] == llm.total_stats.tokens
    return came


def test_what_was_handed_out_counts_once_wherever_a_signal_raises(models, store_path):
    assert not interrupted(str(models("Q4_0")), store_path, range(3, 10**6, 23))


@pytest.mark.slow
def test_the_same_at_every_place(models, store_path):
    assert not interrupted(str(models("Q4_0")), store_path, range(10**6))


def test_the_last_generation_counts_when_the_model_is_closed(models, store_path):
    """Wherever it was interrupted, and nothing else came."""
    number, came = 5, True
    while came:
        llm = Llama(str(models("Q4_0")), store=store_path, **SETTINGS)
        came = Signal(number).run(lambda llm=llm: handed_out(llm, []))
        llm.close()
        with Store(store_path) as store:
            assert store.counters().get("tokens", 0) == llm.total_stats.tokens, number
            assert store.counters().get("answers", 0) in ((0, 1) if llm.total_stats.tokens else (0,))
        store_path.unlink()
        number += 211
