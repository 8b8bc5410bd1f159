"""Generations that nobody ends: dropped by a loop, or collected together with their model."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from children import caller
from one_model import PROMPT

from hd_edge import Llama

SETTINGS = {"n_ctx": 256, "n_threads": 1, "statistics": None, "prefix_cache": None}
child = caller("dropped_child", 120)


def answers(llm) -> int:
    return llm._hierarchy.model.store.counters().get("answers", 0)


@pytest.mark.parametrize("how", ["tokens", "text", "completion", "chat"])
def test_a_cycle_of_model_and_open_generation_is_collected(smollm2_q4_0, how):
    assert child("collect", model=str(smollm2_q4_0), how=how) == "collected"


@pytest.fixture
def llm(models, store_path):
    with Llama(str(models("Q4_0")), store=store_path, **SETTINGS) as llm:
        yield llm


def test_what_a_dropped_generator_said_is_learned_by_the_next_call(llm):
    for number, _ in enumerate(llm.generate([1, 300], temp=0.0)):
        if number == 5:
            break
    gc.collect()
    assert answers(llm) == 0  # nothing is written by whoever drops it
    llm(PROMPT, max_tokens=2, temperature=0.0)
    assert answers(llm) == 2


def test_what_a_dropped_generator_said_is_learned_by_close(models, store_path):
    llm = Llama(str(models("Q4_0")), store=store_path, **SETTINGS)
    generation = llm.generate([1, 300], temp=0.0)
    tokens = [next(generation) for _ in range(8)]
    del generation
    llm.close()
    assert len(tokens) == 8
    with Llama(str(models("Q4_0")), store=store_path, **SETTINGS) as again:
        assert answers(again) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
def test_an_interrupt_while_an_answer_is_learned_reaches_the_caller(llm, monkeypatch, stream, chat):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(llm._hierarchy.model, "flush", lambda *_: interrupted())
    settings = {"max_tokens": 4, "temperature": 0.0, "stream": stream}
    with pytest.raises(KeyboardInterrupt):
        list(
            llm.create_chat_completion([{"role": "user", "content": "x"}], **settings)
            if chat
            else llm(PROMPT, **settings)
        )
    monkeypatch.undo()
    llm.catch_up()
    assert answers(llm) == 1


def test_interrupts_find_nothing_to_disturb_where_a_generator_is_dropped(llm, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(llm._hierarchy, "catch_up", never)
    generation = llm.generate([1, 300], temp=0.0)
    next(generation)
    generation.close()
    assert np.array_equal(llm._hierarchy.model._pending.answers[0].tokens[:2], [1, 300])
    monkeypatch.undo()


def test_the_collector_frees_no_part_of_a_model_before_its_owner_has_kept_what_is_in_it(models):
    """It ends the objects of a cycle in the order in which it found them: here the weights and the context first."""
    assert child("order", model=str(models("Q4_0"))) == ["kept", "context", "model"]
