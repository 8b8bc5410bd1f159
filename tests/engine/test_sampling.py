"""Seeds: with one seed, every sampler draws the same tokens with drafts as without, in exact mode."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from llama_cpp import LlamaGrammar, LogitsProcessorList
from one_model import ONE

from hd_edge import ConfigError, Llama
from hd_edge.check.adversary import Adversary


def bias(ids, scores):
    """A processor whose effect depends on the whole prefix: it must never see a draft."""
    scores[int(np.sum(ids)) % len(scores)] += 4.0
    return scores


SAMPLERS = {
    "temperature": {"temp": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
    "hot": {"temp": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
    "top-k": {"temp": 1.0, "top_k": 5},
    "top-p": {"temp": 1.0, "top_p": 0.6, "min_p": 0.0},
    "min-p": {"temp": 1.3, "min_p": 0.1, "top_k": 0},
    "typical": {"temp": 1.0, "typical_p": 0.6},
    "repeat penalty": {"temp": 0.8, "repeat_penalty": 1.3},
    "frequency and presence": {"temp": 0.8, "frequency_penalty": 0.6, "presence_penalty": 0.4},
    "mirostat 1": {"mirostat_mode": 1},
    "mirostat 2": {"mirostat_mode": 2},
    "processor": {"temp": 0.8, "logits_processor": LogitsProcessorList([bias])},
    "greedy with processor": {"temp": 0.0, "logits_processor": LogitsProcessorList([bias])},
    "grammar": {
        "temp": 0.9,
        "grammar": LlamaGrammar.from_string('root ::= ([a-z]+ " " | [0-9]+ ", ")+', verbose=False),
    },
    "greedy with grammar": {
        "temp": 0.0,
        "grammar": LlamaGrammar.from_json_schema(
            '{"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}}', verbose=False
        ),
    },
}


@pytest.fixture(scope="module")
def llm(models):
    with Llama(str(models("Q4_K_M")), exact=True, draft="off", n_ctx=256, **ONE) as llm:
        yield llm


@pytest.fixture(scope="module")
def smollm2_llm(smollm2_q4_0):
    with Llama(str(smollm2_q4_0), exact=True, draft="off", n_ctx=256, **ONE) as llm:
        yield llm


def say(llm, prompt, seed, n, settings):
    llm.reset()
    llm.set_seed(seed)
    generation = llm.generate(prompt, **settings)
    said = []
    for token in islice(generation, n):
        said.append(token)
        if token == llm.token_eos():
            break  # what follows is not text any more, and a grammar allows nothing
    generation.close()
    return said


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SAMPLERS)
def test_one_seed_one_answer(llm, name, count):
    """`count` prompts with `count` seeds each."""
    compare(llm, name, count)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_one_seed_one_answer_on_a_real_model(smollm2_llm, name):
    """20 prompts with 20 seeds each."""
    compare(smollm2_llm, name, 20)


def compare(llm, name, count):
    settings = SAMPLERS[name]
    rng = np.random.default_rng(1)
    answers = set()
    drafted = tokens = 0
    for _ in range(count):
        prompt = [1, *rng.integers(260, 500, 12).tolist()]
        for seed in range(count):
            want = say(llm, prompt, seed, 32, settings)
            with llm.drafting(Adversary(prompt + want, llm.n_vocab(), 0.8, seed)):
                assert say(llm, prompt, seed, 32, settings) == want
                drafted += sum(llm.stats.accepted.values())
                tokens += llm.stats.tokens
            answers.add(tuple(want))
    assert drafted > tokens // 4
    assert len(answers) >= (2 if settings.get("temp") == 0.0 else count * count // 2)  # they do differ


@pytest.mark.parametrize("temp", [0.0, 0.8])
def test_a_single_processor_stands_for_a_list_of_it(models, temp):
    with Llama(str(models("Q4_0")), n_ctx=128, **ONE) as llm:
        settings = {"max_tokens": 6, "temperature": temp, "seed": 3, "logit_bias": {300: 1.0}}
        texts = [
            llm("the cat", logits_processor=each, **settings)["choices"][0]["text"]
            for each in (bias, [bias], LogitsProcessorList([bias]))
        ]
        assert texts[0] == texts[1] == texts[2]
        for wrong in (5, [5], "x"):
            for more in ({}, {"logit_bias": {300: 1.0}}):
                with pytest.raises(ConfigError, match=r"logits_processor=.* is no function"):
                    llm("the cat", max_tokens=2, logits_processor=wrong, **more)
