"""Conversations of an engine outlive its KV cache: in memory, and on the disk after a restart."""

from __future__ import annotations

import random

import pytest
from company import integrity
from memories import SLIDING
from one_model import ONE
from prefix_llama import dear

from hd_edge import Engine, Llama

WINDOW = 1024


@pytest.fixture(scope="module", params=["Q4_0", *SLIDING])
def path(request, models, shapes):
    """A model without a window, or with one."""
    return str((shapes if request.param in SLIDING else models)(request.param))


@pytest.fixture(scope="module")
def prompts():
    choose = random.Random(8)
    common = [choose.randrange(100, 500) for _ in range(300)]
    return [[*common[: choose.randrange(300)], *(choose.randrange(100, 500) for _ in range(600))] for _ in range(10)]


@pytest.fixture(scope="module")
def expected(path, prompts):
    with Llama(path, n_ctx=WINDOW, prefix_cache=None, **ONE) as alone:
        return [alone.create_completion(prompt, max_tokens=8, temperature=0.0)["choices"] for prompt in prompts]


def asked(engine: Engine, prompts: list[list[int]]) -> list[dict]:
    return [handle.result() for handle in [engine.submit(p, max_tokens=8, temperature=0.0) for p in prompts]]


def test_what_the_cache_has_no_room_for_comes_from_memory(path, prompts, expected):
    with Engine(path, parallel=2, n_ctx=WINDOW, n_cells=2 * WINDOW, prefix_cache="memory", **ONE) as engine:
        dear(engine.model)
        for _ in range(3):
            answers = asked(engine, prompts)
            assert [answer["choices"] for answer in answers] == expected
        cached = [answer["usage"]["prompt_tokens_details"]["cached_tokens"] for answer in answers]
        assert sum(cached) > 0.8 * sum(map(len, prompts))
        assert integrity(engine) == ""


def test_conversations_survive_a_restart(path, prompts, expected, tmp_path):
    settings = {"parallel": 3, "n_ctx": WINDOW, "prefix_cache": str(tmp_path)} | ONE
    for restarted in (False, True):
        with Engine(path, **settings) as engine:
            dear(engine.model)
            answers = asked(engine, prompts[:3])
            assert [answer["choices"] for answer in answers] == expected[:3]
            cached = sum(answer["usage"]["prompt_tokens_details"]["cached_tokens"] for answer in answers)
            assert cached > 1500 if restarted else cached < 600
            saver = engine.model._prefixes.saver
            while engine._prefixes._ended or saver._unsaved or saver._pending:  # its thread saves one after the other
                saver.flush()
    with Llama(path, n_ctx=WINDOW, prefix_cache=str(tmp_path), **ONE) as alone:  # and are anybody's
        dear(alone)
        answer = alone.create_completion(prompts[0], max_tokens=8, temperature=0.0)
        assert answer["choices"] == expected[0]
        assert alone.stats.cached_tokens >= 512
