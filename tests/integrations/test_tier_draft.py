"""``TierDraft`` in the seam of ``llama_cpp.Llama``."""

from __future__ import annotations

import llama_cpp
import numpy as np
import pytest

from hd_edge import ConfigError, TierDraft, TokenError


def test_a_repeated_chain_is_drafted():
    draft = TierDraft(100, num_pred_tokens=5, least=0.6)
    text = [1, *list(range(10, 30)) * 20]
    end, drafts = 20, []
    while end < len(text) - 6:
        got = draft(np.array(text[:end], np.intc))
        assert got.dtype == np.intc
        assert len(got) <= 5
        right = next((i for i, token in enumerate(got) if token != text[end + i]), len(got))
        drafts.append((len(got), right))
        end += right + 1  # llama_cpp goes on behind what was right and the token after it
    assert drafts[-8:] == [(5, 5)] * 8
    assert draft(np.array([1, 2, 3], np.intc)).tolist() == []  # another conversation
    assert draft(np.array([], np.intc)).tolist() == []


def test_arguments_are_checked():
    for more in ({"n_vocab": 0}, {"n_vocab": 9, "num_pred_tokens": 63}, {"n_vocab": 9, "least": 2}):
        with pytest.raises(ConfigError, match="expected"):
            TierDraft(**more)
    with pytest.raises(TokenError, match="expected 0 to 8"):
        TierDraft(9)(np.array([9], np.intc))


def test_llama_cpp_gives_the_same_text_with_it(models):
    settings = {"n_ctx": 256, "n_threads": 1, "type_k": 8, "type_v": 8, "flash_attn": True, "verbose": False}
    llm = llama_cpp.Llama(str(models("Q4_0")), logits_all=True, **settings)
    prompt = "the cat sat on the mat and the cat sat on"
    want = llm(prompt, max_tokens=60, temperature=0.0)["choices"][0]["text"]
    asked = []

    class Counting(TierDraft):
        def __call__(self, ids, /, **kwargs):
            asked.append(super().__call__(ids, **kwargs))
            return asked[-1]

    llm.draft_model = Counting(llm.n_vocab(), least=0.1)
    llm.reset()
    got = llm(prompt, max_tokens=60, temperature=0.0)["choices"][0]["text"]
    llm.close()
    assert got[:20] == want[:20]
    assert len(asked) > 1
    assert sum(map(len, asked)) > 0
