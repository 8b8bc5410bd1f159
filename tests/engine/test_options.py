"""Sampling options out of range are refused before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest
from one_model import PROMPT, make

from hd_edge import ConfigError, DecodeError, TokenError

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
    "stop": (5, True, b"x", ["a", 1], {"a"}, np.array(["a", "b"]), "\ud800", ["a\ud800"]),
    "logprobs": (-1, 1.5, "x", [1]),
}
IN_ONE = {  # options of completions, or of generate() too
    "suffix": (5, True, b"x", ["a"], "\ud800"),
    "stopping_criteria": (5, True, "x", [None], {"a": 1}),
}


@pytest.mark.parametrize("name", WRONG)
def test_sampling_options_out_of_range_are_refused(llm, name):
    for value in WRONG[name]:
        for stream in (False, True):
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.create_completion(PROMPT, stream=stream, **{name: value})
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.create_chat_completion([{"role": "user", "content": "x"}], stream=stream, **{name: value})
        if name in ("seed", "max_tokens", "stop", "logprobs"):
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


@pytest.mark.parametrize("name", IN_ONE)
def test_options_of_one_call_are_refused(llm, name):
    for value in IN_ONE[name]:
        for stream in (False, True):
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.create_completion(PROMPT, stream=stream, **{name: value})
        if name == "stopping_criteria":
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.generate([1], **{name: value})


def test_prompts_that_are_neither_text_nor_token_ids_are_refused(llm):
    for wrong in (None, 5, 1.5, object(), ["x"], [None], {"a": 1}, np.array([[1, 2]])):
        with pytest.raises(TokenError, match="must be token ids or a string, got"):
            llm.create_completion(wrong)
        with pytest.raises(TokenError, match="must be token ids or a string, got"):
            llm.eval(wrong)
        generation = llm.generate(llm.tokenize(PROMPT.encode()), temp=0.0)
        next(generation)
        if wrong is not None:
            with pytest.raises(TokenError, match="must be token ids or a string, got"):
                generation.send(wrong)
    assert llm(np.array([1, 70, 71]), max_tokens=3)["usage"]["completion_tokens"] == 3


def test_half_a_surrogate_pair_is_refused(llm):
    half = "a\ud800"
    for call in (
        lambda: llm.create_completion(half),
        lambda: llm.create_completion(PROMPT, prediction={"type": "content", "content": half}),
        lambda: llm.create_chat_completion([{"role": "user", "content": half}]),
        lambda: llm.create_chat_completion([{"role": "user", "content": [{"type": "text", "text": half}]}]),
        lambda: llm.generate(half),
    ):
        with pytest.raises(ConfigError, match="half a surrogate pair"):
            call()


def test_arguments_of_low_level_calls(llm):
    for wrong in ("text", None, 5, ["text"]):
        with pytest.raises(TokenError, match=r"takes a text in bytes, got .*encode"):
            llm.tokenize(wrong)
    for wrong in (None, 5, "text", [[1]], ["x"], [None], object()):
        with pytest.raises(TokenError, match="must be token ids or a string, got"):
            llm.detokenize(wrong)
    for form in (tuple, np.array, iter):
        assert llm.detokenize(form([70, 71, 72])) == llm.detokenize([70, 71, 72]) != b""
    llm.reset()
    for token in (-1, 512, 1 << 40):
        with pytest.raises(TokenError, match=f"token id {token} is outside the vocabulary of 512"):
            llm.eval([token])
    llm.eval([1])
    for wrong in ("x", 1.5, [1]):
        with pytest.raises(ConfigError, match=r"idx=.* is not the number of a token"):
            llm.sample(idx=wrong)
    with pytest.raises(DecodeError, match="embedding=True"):
        llm.embed("a text")


@pytest.mark.parametrize("logprobs", [None, 2])
@pytest.mark.parametrize("form", [list, tuple, lambda criteria: criteria[0]])
def test_stopping_criteria_in_any_form(llm, form, logprobs):
    """With logprobs there is one more, of ours."""
    at = len(llm.tokenize(PROMPT.encode())) + 4
    answer = llm(PROMPT, temperature=0.0, stopping_criteria=form([lambda ids, _: len(ids) >= at]), logprobs=logprobs)
    assert answer["usage"]["completion_tokens"] == 4


def test_seeds_of_numpy(models, llm):
    wanted = llm(PROMPT, max_tokens=3, seed=7)["choices"][0]["text"]
    assert llm(PROMPT, max_tokens=3, seed=np.uint32(7))["choices"][0]["text"] == wanted
    assert llm(PROMPT, max_tokens=3)["usage"]["completion_tokens"] == 3  # draws the next seed from that one
    with make(models, seed=np.int64(7)) as other:
        assert other(PROMPT, max_tokens=3)["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("wrong", [np.array([1, 2]), [1], 5, "text"])
def test_biases_and_processors_of_a_wrong_kind(llm, wrong):
    with pytest.raises(ConfigError, match=r"logit_bias=.* is not a mapping"):
        llm(PROMPT, logit_bias=wrong)
    with pytest.raises(ConfigError, match=r"logits_processor=.* is no function and no list"):
        llm(PROMPT, logits_processor=wrong)


def test_an_argument_that_no_call_knows_is_told_with_the_calls_name(llm):
    for call, given in (("create_completion", "x"), ("create_chat_completion", [{"role": "user", "content": "x"}])):
        with pytest.raises(TypeError, match=rf"^{call}\(\) got an unexpected .* 'best_of'; it takes .*stop"):
            getattr(llm, call)(given, best_of=2)
    with pytest.raises(TypeError, match=r"^sample\(\) got an unexpected .* it takes top_k"):
        llm.sample(best_of=2)
    with pytest.raises(TypeError, match=r"^embed\(\) got an unexpected .* it takes input"):
        llm.embed("x", best_of=2)


@pytest.mark.parametrize("wrong", [5, "x", [1], {1: 2}])
def test_variables_of_a_template_that_are_none_are_refused(llm, wrong):
    with pytest.raises(ConfigError, match=r"chat_template_kwargs=.* is not a dict"):
        llm.create_chat_completion([{"role": "user", "content": "x"}], chat_template_kwargs=wrong)
