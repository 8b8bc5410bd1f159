"""Adapters that somebody puts on the context of an engine: conversations share nothing across the change."""

from __future__ import annotations

import llama_cpp
import pytest
from company import WINDOW, integrity
from one_model import ONE
from prefix_llama import dear, steer

from hd_edge import Engine

PROMPT = [1, *range(300, 420)]


def asked(engine):
    return engine.submit(PROMPT, max_tokens=12, temperature=0.0).result(timeout=60)


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_an_engine_forgets_what_was_computed_before(models, tmp_path, place):
    settings = {"parallel": 2, "n_ctx": WINDOW, "prefix_cache": "memory" if place == "memory" else str(tmp_path), **ONE}
    with Engine(str(models("Q4_0")), **settings) as engine:
        steer(engine.model)
        steered = asked(engine)["choices"]
    with Engine(str(models("Q4_0")), **settings) as engine:
        dear(engine.model)
        plain = asked(engine)["choices"]
        assert plain != steered
        steer(engine.model)
        for known in (False, True):
            answer = asked(engine)
            assert answer["choices"] == steered
            assert (answer["usage"]["prompt_tokens_details"]["cached_tokens"] > 0) == known
        engine.model._prefixes.saver.flush()
        assert len(engine.model._prefixes.memory) == 0
        assert llama_cpp.llama_set_adapter_cvec(engine.model.ctx, None, 0, 0, 0, 0) == 0
        answer = asked(engine)
        assert (answer["choices"], answer["usage"]["prompt_tokens_details"]["cached_tokens"]) == (plain, 0)
        assert integrity(engine) == ""
    assert list(tmp_path.glob("*/*.kv")) == []
