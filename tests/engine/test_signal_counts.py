"""Signals whose handlers raise while an answer is made: what was handed out counts once, here and in the store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from raising_handler import RaisingHandler

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
        came = RaisingHandler(Boom, PACKAGE, number).run(lambda into=out: handed_out(llm, into))
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
        came = RaisingHandler(Boom, PACKAGE, number).run(lambda llm=llm: handed_out(llm, []))
        llm.close()
        with Store(store_path) as store:
            assert store.counters().get("tokens", 0) == llm.total_stats.tokens, number
            assert store.counters().get("answers", 0) in ((0, 1) if llm.total_stats.tokens else (0,))
        store_path.unlink()
        number += 211
