"""OpenVINO GenAI as an arm of the benchmark: it reads the same GGUF file, plain or with its prompt lookup.

``pip install openvino-genai`` brings it, on x86-64 and arm64; it reads files of the Llama and Qwen families. It is
asked with the token ids that the other arms get and reports its own times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hd_edge.bench.arm import WARM_UP, Answer, Settings, check_room, text_of
from hd_edge.errors import HDEdgeError
from hd_edge.stats import GenerationStats

LOOKUP = "openvino-lookup"
NAMES = ("openvino-plain", LOOKUP)
# The chain of llama_cpp with its defaults; the streams of random numbers differ.
SAMPLERS = {"do_sample": True, "top_k": 40, "top_p": 0.95}
DRAFTED = {"num_assistant_tokens": 5, "max_ngram_size": 3}  # as in its own examples of prompt lookup


class OpenVinoError(HDEdgeError):
    """OpenVINO GenAI is not installed, or it cannot read this model."""


class OpenVino:
    """An arm: one pipeline, loaded when the arm is made.

    Args:
        name: One of ``NAMES``.
        llm: A model of another arm: the file is read from its path, and its tokenizer reads the answers.
        settings: Of the whole benchmark.

    Raises:
        OpenVinoError: The package is missing, or refuses the file.
    """

    def __init__(self, name: str, llm: Any, settings: Settings) -> None:
        try:
            import openvino
            import openvino_genai
        except ImportError as error:
            msg = f"arm {name!r} needs {error.name}: pip install openvino-genai brings it"
            raise OpenVinoError(msg) from error
        self.name, self.llm, self._tensor, self._genai = name, llm, openvino.Tensor, openvino_genai
        lookup = {"prompt_lookup": True} if name == LOOKUP else {}
        try:
            self._pipeline = openvino_genai.LLMPipeline(
                llm.model_path, "CPU", INFERENCE_NUM_THREADS=settings.n_threads, **lookup
            )
        except RuntimeError as error:
            msg = f"arm {name!r} cannot read {llm.model_path}: {str(error)[-300:]}"
            raise OpenVinoError(msg) from error

    def warm_up(self, prompt: Sequence[int], settings: Settings) -> None:
        """As ``Arm.warm_up``."""
        self.answer(prompt, replace(settings, max_tokens=WARM_UP))

    def answer(self, prompt: Sequence[int], settings: Settings) -> Answer:
        """As ``Arm.answer``; forwards are not told."""
        check_room(len(prompt), settings.max_tokens, settings.n_ctx)
        config = self._pipeline.get_generation_config()
        config.max_new_tokens, config.apply_chat_template, config.do_sample = settings.max_tokens, False, False
        sampled = {**SAMPLERS, "temperature": settings.temperature, "rng_seed": settings.seed}
        given = (sampled if settings.temperature > 0 else {}) | (DRAFTED if self.name == LOOKUP else {})
        for field, value in given.items():
            setattr(config, field, value)
        ids = np.array([list(prompt)], np.int64)
        asked = self._genai.TokenizedInputs(self._tensor(ids), self._tensor(np.ones_like(ids)))
        done = self._pipeline.generate(asked, config)
        said, times = [int(token) for token in done.tokens[0]], done.perf_metrics
        first, whole = (value / 1e3 for value in (times.get_ttft().mean, times.get_generate_duration().mean))
        stats = GenerationStats(
            prompt_tokens=len(prompt), tokens=len(said), prompt_seconds=first, seconds=whole - first
        )
        stats.forward_seconds = stats.seconds
        return Answer(text_of(self.llm, said), said, stats)

    def close(self) -> None:
        """Frees the pipeline."""
        self._pipeline = None
