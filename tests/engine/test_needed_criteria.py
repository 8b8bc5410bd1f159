"""Stopping criteria that ask for nothing: a chat format's own is not called for every token."""

from __future__ import annotations

import pytest
from llama_cpp import StoppingCriteriaList
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from hd_edge import Llama
from hd_edge.engine.options import criteria_list, needed_criteria

TEMPLATE = "{{ messages[0].content }}"
MESSAGES = [{"role": "user", "content": "hello"}]


def of_a_format(*tokens: int) -> StoppingCriteriaList:
    made = Jinja2ChatFormatter(TEMPLATE, eos_token="e", bos_token="b", stop_token_ids=list(tokens))(messages=MESSAGES)
    assert made.stopping_criteria is not None
    return made.stopping_criteria


def mine(tokens, logits) -> bool:
    return False


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (of_a_format(2), None),
        (of_a_format(2, 5), None),
        (of_a_format(2, 7), 1),  # 7 ends no turn: somebody wants to stop there
        ([of_a_format(2), mine], 1),
        (mine, 1),
    ],
)
def test_only_what_says_something_of_its_own_is_left(given, left):
    needed = needed_criteria(criteria_list(given), {2, 5}.__contains__)
    assert (None if needed is None else len(needed)) == left


def test_a_chat_answer_needs_no_logits(smollm2_q4_0, monkeypatch):
    with Llama(str(smollm2_q4_0), n_ctx=256, n_threads=1, verbose=False, store=None, prefix_cache=None) as llm:
        given = []
        run = llm._tokens
        monkeypatch.setattr(llm, "_tokens", lambda ids, settings: given.append(dict(settings)) or run(ids, settings))
        llm.create_chat_completion(MESSAGES, max_tokens=3)
        assert [one["stopping_criteria"] for one in given] == [None]
        llm.create_completion("hello", max_tokens=1, stopping_criteria=StoppingCriteriaList([lambda ids, row: True]))
        assert given[-1]["stopping_criteria"] is not None
