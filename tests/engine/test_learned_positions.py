"""Models with a table of positions: an answer ends where the table does, whatever context was asked for.

llama.cpp itself ends the process at the first position behind it.
"""

from __future__ import annotations

import pytest
from gpt2_gguf import PLACES, gpt2

from hd_edge import Engine, Llama
from hd_edge.errors import ContextFullError


@pytest.fixture
def path(tmp_path):
    (tmp_path / "gpt2.gguf").write_bytes(gpt2())
    return str(tmp_path / "gpt2.gguf")


PROMPT = [1, *range(200, 230)]


@pytest.mark.parametrize("draft", ["off", "auto"])
def test_an_answer_ends_with_the_table(path, draft):
    with Llama(path, n_ctx=512, n_threads=1, draft=draft, store=None, prefix_cache=None, logits_all=False) as llm:
        again = (PROMPT[-20:] * 8)[:120]
        for prediction in (None, again):
            text = "" if prediction is None else llm.detokenize(prediction).decode("utf-8", "replace")
            hints = {"prediction": {"type": "content", "content": text}} if text else {}
            answer = llm.create_completion(PROMPT, max_tokens=400, temperature=0.0, **hints)
            assert answer["choices"][0]["finish_reason"] in ("length", "stop")
            assert answer["usage"]["total_tokens"] <= PLACES
        said = []
        with pytest.raises(ContextFullError, match=f"{PLACES} tokens of {PLACES}"):
            said.extend(llm.generate(PROMPT, temp=0.0))
        assert len(said) <= PLACES - len(PROMPT) + 1


def test_a_prompt_behind_the_table_is_refused(path):
    with Llama(path, n_ctx=512, n_threads=1, store=None, prefix_cache=None) as llm:
        with pytest.raises(ContextFullError, match=str(PLACES)):
            llm.create_completion([200] * (PLACES + 1), max_tokens=1)
        with pytest.raises(ContextFullError, match=str(PLACES)):
            llm.eval([200] * (PLACES + 1))


def test_conversations_end_with_the_table(path):
    with Engine(path, parallel=2, n_ctx=512, n_threads=1, store=None, prefix_cache=None) as engine:
        handles = [engine.submit([start] * 20, max_tokens=400, temperature=0.0) for start in (200, 220)]
        for handle in handles:
            assert handle.result()["usage"]["total_tokens"] <= PLACES
