"""Objects whose constructor was never called, and attributes that somebody has set to something else."""

from __future__ import annotations

import numpy as np
import pytest
from one_model import PROMPT

from hd_edge import ClosedError, ConfigError, DecodeError, Llama


class Forgetful(Llama):
    """A subclass that forgets its base."""

    def __init__(self):
        pass


@pytest.mark.parametrize("make", [lambda: Llama.__new__(Llama), Forgetful])
@pytest.mark.parametrize(
    "use",
    [
        lambda llm: llm.generate([1, 2]),
        lambda llm: llm(PROMPT),
        lambda llm: llm.create_chat_completion([{"role": "user", "content": "x"}]),
        lambda llm: llm.tokenize(b"x"),
        lambda llm: llm.eval([1]),
        lambda llm: llm.sample(),
        lambda llm: llm.reset(),
        lambda llm: llm.save_state(),
        lambda llm: llm.n_ctx(),
        lambda llm: llm.token_eos(),
        lambda llm: llm.cancel(),
        lambda llm: llm.__enter__(),
    ],
)
def test_what_was_never_loaded_says_so(make, use):
    llm = make()
    with pytest.raises(ClosedError, match=r"this (Llama|Forgetful) was never loaded: call its constructor"):
        use(llm)
    llm.close()


@pytest.mark.parametrize("name", ["nonsense", "", 5, ["llama-2"]])
def test_a_chat_format_that_nobody_knows_is_refused(llm, name):
    before = llm.chat_format
    llm.chat_format = name
    try:
        with pytest.raises(ConfigError, match="is the name of no chat format"):
            llm.create_chat_completion([{"role": "user", "content": "x"}], max_tokens=2)
    finally:
        llm.chat_format = before


@pytest.mark.parametrize("ids", [None, np.zeros(5, np.intc), [1, 2], np.zeros(4096), np.zeros((300, 300), np.intc)])
def test_ids_that_no_context_has_are_refused_once(llm, base, ids):
    want = base(PROMPT, max_tokens=5, temperature=0.0)["choices"][0]["text"]
    llm.input_ids = ids
    with pytest.raises(DecodeError, match="input_ids was set to something else than an array of"):
        llm(PROMPT, max_tokens=5, temperature=0.0)
    assert llm(PROMPT, max_tokens=5, temperature=0.0)["choices"][0]["text"] == want
