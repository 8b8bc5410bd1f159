"""From a request's body to calls of the model, one for each choice."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from llama_cpp import LlamaGrammar, LogitsProcessorList, MinTokensLogitsProcessor

from hd_edge import Llama
from hd_edge.engine.options import SEEDS
from hd_edge.errors import ConfigError, HDEdgeError

from .answer import Job
from .requests import NOT_FOR_LLAMA, ChatRequest, CompletionRequest


def completion_job(llm: Llama, body: CompletionRequest, name: str) -> Job:
    """Continues every prompt ``n`` times."""
    call = partial(llm.create_completion, **_settings(body, name))
    return _job(llm, body, [partial(call, prompt) for prompt in body.prompts()])


def chat_job(llm: Llama, body: ChatRequest, name: str) -> Job:
    """Answers a conversation ``n`` times."""
    settings = _settings(body, name)
    settings["max_tokens"] = body.max_completion_tokens or body.max_tokens
    return _job(llm, body, [partial(llm.create_chat_completion, **settings)])


def _settings(body: CompletionRequest | ChatRequest, name: str) -> dict[str, Any]:
    return {**body.model_dump(exclude=NOT_FOR_LLAMA), "model": body.model or name}


def _job(llm: Llama, body: CompletionRequest | ChatRequest, calls: list[Callable[..., Any]]) -> Job:
    def call(one: Callable[..., Any], sample: int) -> Any:
        before = llm.stats
        try:
            return one(**_own(llm, body, sample))
        except Exception as error:
            if isinstance(error, (HDEdgeError, ValueError)) or llm.stats is not before:
                raise
            # nothing was generated yet: the messages do not fit the chat template, or an argument its meaning
            msg = f"this model cannot take the request: {type(error).__name__}: {error}"
            raise ConfigError(msg) from error

    return Job(
        [partial(call, one, sample) for one in calls for sample in range(body.n)],
        samples=body.n,
        stream=body.stream,
        usage=body.wants_usage(),
        tiers=body.include_tiers,
        progress=body.return_progress and body.stream,
    )


def _own(llm: Llama, body: CompletionRequest | ChatRequest, sample: int) -> dict[str, Any]:
    """Settings that every choice has for itself: processors keep state, and equal seeds give equal texts."""
    own: dict[str, Any] = {"seed": body.seed}
    if body.n > 1:
        own["seed"] = random.randrange(SEEDS) if body.seed in (None, -1) else (body.seed + sample) % SEEDS
    if body.grammar is not None:
        own["grammar"] = LlamaGrammar.from_string(body.grammar, verbose=False)
    if body.logit_bias:
        own["logit_bias"] = (
            _bias_of_texts(llm, body.logit_bias) if body.logit_bias_type == "tokens" else body.logit_bias
        )
    if body.min_tokens > 0 and llm.token_eos() >= 0:
        own["logits_processor"] = LogitsProcessorList([MinTokensLogitsProcessor(body.min_tokens, llm.token_eos())])
    return own


def _bias_of_texts(llm: Llama, bias: dict[str, float]) -> dict[int, float]:
    return {
        token: value
        for text, value in bias.items()
        for token in llm.tokenize(text.encode("utf-8"), add_bos=False, special=True)
    }
