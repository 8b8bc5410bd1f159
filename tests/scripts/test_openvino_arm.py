"""The arm around OpenVINO GenAI, with a stand-in for its package that says what it was asked."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import openvino_arm
import pytest

from hd_edge.bench.arm import Settings
from hd_edge.errors import ContextFullError

SETTINGS = Settings(max_tokens=4, n_ctx=64, n_threads=3)


class Words:
    """A model of another arm: where its file is, and how its tokens are read."""

    model_path = "model.gguf"

    def detokenize(self, ids):
        return bytes(ids)


@pytest.fixture
def asked(monkeypatch):
    """Everything that the stand-in was given."""
    seen = SimpleNamespace(made=[], config=None, ids=None)

    class Pipeline:
        def __init__(self, path, device, **options):
            if path == "hybrid.gguf":
                raise RuntimeError("unsupported architecture")
            seen.made.append((path, device, options))

        def get_generation_config(self):
            return SimpleNamespace()

        def generate(self, inputs, config):
            seen.ids, seen.config = inputs, config
            mean = lambda value: lambda: SimpleNamespace(mean=value)  # noqa: E731
            times = SimpleNamespace(get_ttft=mean(20.0), get_generate_duration=mean(50.0))
            return SimpleNamespace(tokens=[[65, 66, 67]], perf_metrics=times)

    openvino, genai = ModuleType("openvino"), ModuleType("openvino_genai")
    openvino.Tensor = lambda array: array.tolist()
    genai.LLMPipeline, genai.TokenizedInputs = Pipeline, lambda ids, mask: (ids, mask)
    monkeypatch.setitem(sys.modules, "openvino", openvino)
    monkeypatch.setitem(sys.modules, "openvino_genai", genai)
    return seen


def test_an_answer_is_read_from_what_the_pipeline_tells(asked):
    arm = openvino_arm.OpenVino("openvino-plain", Words(), SETTINGS)
    answer = arm.answer([97, 98], SETTINGS)
    assert asked.made == [("model.gguf", "CPU", {"INFERENCE_NUM_THREADS": 3})]
    assert asked.ids == ([[97, 98]], [[1, 1]])
    assert (asked.config.max_new_tokens, asked.config.do_sample, asked.config.apply_chat_template) == (4, False, False)
    assert (answer.text, answer.ids) == ("ABC", [65, 66, 67])
    assert (answer.stats.prompt_seconds, round(answer.stats.seconds, 9)) == (0.02, 0.03)
    assert (answer.stats.tokens, answer.stats.prompt_tokens) == (3, 2)


def test_its_lookup_is_asked_for_by_name(asked):
    arm = openvino_arm.OpenVino("openvino-lookup", Words(), SETTINGS)
    arm.answer([97], SETTINGS)
    assert asked.made[0][2]["prompt_lookup"] is True
    assert (asked.config.num_assistant_tokens, asked.config.max_ngram_size) == (5, 3)


def test_a_sampled_answer_has_llama_cpps_chain(asked):
    openvino_arm.OpenVino("openvino-plain", Words(), SETTINGS).answer([97], replace(SETTINGS, temperature=0.7, seed=5))
    config = asked.config
    assert (config.do_sample, config.temperature, config.rng_seed) == (True, 0.7, 5)
    assert (config.top_k, config.top_p) == (40, 0.95)


def test_an_answer_without_room_is_refused(asked):
    arm = openvino_arm.OpenVino("openvino-plain", Words(), SETTINGS)
    with pytest.raises(ContextFullError):
        arm.answer([97] * 61, SETTINGS)


def test_a_file_that_it_cannot_read_is_named(asked, monkeypatch):
    monkeypatch.setattr(Words, "model_path", "hybrid.gguf")
    with pytest.raises(openvino_arm.OpenVinoError, match=r"cannot read hybrid\.gguf: unsupported architecture"):
        openvino_arm.OpenVino("openvino-plain", Words(), SETTINGS)


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino_genai", None)
    monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))
    with pytest.raises(openvino_arm.OpenVinoError, match="pip install openvino-genai"):
        openvino_arm.OpenVino("openvino-plain", Words(), SETTINGS)
