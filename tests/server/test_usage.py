"""Usage and timings of answers of several choices, one conversation at a time and several side by side."""

from __future__ import annotations

import json
import re

import pytest
from one_model import ONE

from hd_edge import Engine

GREEDY = {"max_tokens": 3, "temperature": 0.0}
WINDOW = 256


@pytest.fixture(scope="module", params=[1, 4])
def served(models, tiny, serve, request):
    if request.param == 1:
        return serve(tiny(n_ctx=WINDOW))
    return serve(Engine(str(models("Q4_0")), parallel=request.param, n_ctx=WINDOW, **ONE))


@pytest.mark.parametrize("stream", [False, True])
def test_no_more_of_a_prompt_is_cached_than_there_is(served, stream):
    body = {"prompt": ["the cat", "a dog and more"], "n": 4, "stream": stream, **GREEDY}
    body |= {"stream_options": {"include_usage": True}} if stream else {}
    for _ in range(2):
        text = served.post("/v1/completions", body).text
        made = json.loads(re.findall(r"^data: (\{.*)$", text, re.MULTILINE)[-1] if stream else text)
        usage = made["usage"]
        assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]
        if not stream:
            assert made["timings"]["prompt_n"] + made["timings"]["cache_n"] == usage["prompt_tokens"]
            assert made["timings"]["prompt_n"] > 0


def test_more_tokens_than_the_context_holds_are_no_limit(served):
    made = served.post("/v1/completions", {"prompt": "the cat", "temperature": 0.0, "max_tokens": 10**6})
    usage = made.raise_for_status().json()["usage"]
    assert usage["total_tokens"] == WINDOW
