"""Sampling options out of range are refused before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest
from one_model import PROMPT

from hd_edge import ConfigError

WRONG = {
    "temperature": (-0.1, float("nan"), float("inf"), "hot", True, None),
    "top_p": (-0.1, 1.1, float("nan"), None),
    "min_p": (-0.1, 1.1),
    "typical_p": (-0.1, 1.1),
    "top_k": (-2, 2**31, 1.5, "all"),
    "repeat_penalty": (0.0, -1.0, float("inf")),
    "frequency_penalty": (float("nan"), "x"),
    "presence_penalty": (float("-inf"),),
    "mirostat_mode": (-1, 3, 1.0),
    "mirostat_tau": (-1.0,),
    "mirostat_eta": (float("nan"),),
    "seed": (-2, 2**32, 1.5, "x", True),
    "max_tokens": (1.5, "x", True, float("inf")),
}


@pytest.mark.parametrize("name", WRONG)
def test_sampling_options_out_of_range_are_refused(llm, name):
    for value in WRONG[name]:
        for stream in (False, True):
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.create_completion(PROMPT, stream=stream, **{name: value})
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.create_chat_completion([{"role": "user", "content": "x"}], stream=stream, **{name: value})
        if name in ("seed", "max_tokens"):
            continue
        lower = {"temperature": "temp"}.get(name, name)
        with pytest.raises(ConfigError, match=f"{lower}=.* is not "):
            llm.generate([1], **{lower: value})
        llm.eval([300])
        with pytest.raises(ConfigError, match=f"{lower}=.* is not "):
            llm.sample(**{lower: value})


@pytest.mark.parametrize("max_tokens", [None, 0, -5])
def test_max_tokens_without_a_limit_is_the_room_there_is(llm, base, max_tokens):
    long = [1, *(300 + i % 100 for i in range(490))]
    answers = [each.create_completion(long, max_tokens=max_tokens, temperature=0.0) for each in (llm, base)]
    assert answers[0]["choices"] == answers[1]["choices"]
    assert answers[0]["usage"]["total_tokens"] <= 512


def test_options_at_their_ends_are_taken(llm):
    settings = {
        "top_k": -1,
        "top_p": 1.0,
        "min_p": 0.0,
        "typical_p": 1,
        "seed": 2**32 - 1,
        "temperature": np.float32(0.5),
    }
    assert llm(PROMPT, max_tokens=np.int64(3), **settings)["usage"]["completion_tokens"] == 3
