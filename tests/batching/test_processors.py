"""What an Engine tells logits processors and stopping criteria: the prefix as it is drawn, whoever reads it when."""

from __future__ import annotations

import pytest
from company import WINDOW
from llama_cpp import LogitsProcessorList, MinTokensLogitsProcessor, StoppingCriteriaList
from one_model import ONE

from hd_edge import Engine, Llama

PROMPTS = [[1, 300, 301], [1, 300, 301, 300, 301, 300], [1, 310]]


class Heard:
    """A processor and a criterion that keep the prefixes they are told."""

    def __init__(self):
        self.prefixes, self.tested = [], []

    def settings(self):
        return {
            "logits_processor": LogitsProcessorList([self.process]),
            "stopping_criteria": StoppingCriteriaList([self.test]),
        }

    def process(self, prefix, scores):
        self.prefixes.append(prefix.tolist())
        return scores

    def test(self, prefix, logits):
        self.tested.append(prefix.tolist())
        return False


@pytest.mark.parametrize("draft", ["auto", "off"])
def test_each_is_told_its_own_prefix(models, draft):
    path, alone = str(models("Q4_0")), []
    with Llama(path, n_ctx=WINDOW, draft="off", **ONE) as llm:
        for prompt in PROMPTS:
            alone.append(Heard())
            llm.create_completion(prompt, max_tokens=24, temperature=0.0, **alone[-1].settings())
    with Engine(path, parallel=3, n_ctx=WINDOW, draft=draft, **ONE) as engine:
        company = [Heard() for _ in PROMPTS]
        handles = [
            engine.submit(prompt, max_tokens=24, temperature=0.0, **heard.settings())
            for prompt, heard in zip(PROMPTS, company, strict=True)
        ]
        for handle in handles:
            handle.result(timeout=60)
    for one, other in zip(alone, company, strict=True):
        assert other.prefixes == one.prefixes
        assert other.tested[: len(one.tested)] == one.tested


def test_at_least_so_many_tokens(models):
    path = str(models("Q4_0"))
    with Engine(path, parallel=2, n_ctx=WINDOW, **ONE) as engine:
        end = engine.model.token_eos()
        for _ in range(3):
            least = LogitsProcessorList([MinTokensLogitsProcessor(5, end)])
            bias = {end: 100.0}
            answer = engine.submit([1, 300], max_tokens=60, temperature=0.0, logit_bias=bias, logits_processor=least)
            assert answer.result(timeout=60)["usage"]["completion_tokens"] == 5
