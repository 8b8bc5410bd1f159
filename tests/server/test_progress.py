"""A stream tells how much of a long prompt is read, as llama-server does."""

from __future__ import annotations

import pytest

from hd_edge import Llama

TEXT = "The river comes down from the hills and carries sand to the sea. "


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    return Llama(str(smollm2_q4_0), n_ctx=1024, n_batch=64, n_threads=1, store=None, prefix_cache=None)


def chunks(client, times: int, **more):
    messages = [{"role": "user", "content": TEXT * times}]
    settings = {"model": "m", "stream": True, "max_tokens": 4, "temperature": 0.0, "extra_body": more}
    return list(client.chat.completions.create(messages=messages, **settings))


def told(found) -> list[dict[str, int]]:
    return [chunk.prompt_progress for chunk in found if getattr(chunk, "prompt_progress", None)]


def test_a_prompt_is_told_batch_by_batch_before_the_answer(client):
    found = chunks(client, 12, return_progress=True)
    reading = told(found)
    assert [chunk for chunk in found[: len(reading)] if chunk.choices] == []
    assert all(chunk.choices for chunk in found[len(reading) :])
    steps = [one["processed"] for one in reading]
    assert len(steps) > 2
    assert steps == sorted(steps)
    timings = found[-1].timings
    assert steps[-1] == reading[-1]["total"] == timings["prompt_n"] + timings["cache_n"]
    assert len({chunk.id for chunk in found if chunk.choices}) == 1


def test_what_the_cache_holds_counts_as_read(client):
    chunks(client, 10)
    found = chunks(client, 14, return_progress=True)
    first, timings = told(found)[0], found[-1].timings
    assert first["cache"] > 100
    assert first["processed"] > first["cache"] == timings["cache_n"]
    assert timings["prompt_n"] == first["total"] - first["cache"]


def test_nothing_is_told_unasked_or_afterwards(client, llm):
    assert told(chunks(client, 11)) == []
    assert llm.on_prefill is None
