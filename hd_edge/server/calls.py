"""From a request's body to calls of the model, one for each choice."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from llama_cpp import LlamaGrammar, LogitsProcessorList, MinTokensLogitsProcessor

from hd_edge import Llama
from hd_edge.engine.options import SEEDS, as_bytes
from hd_edge.errors import ConfigError, HDEdgeError

from .answer import Job
from .requests import ChatRequest, CompletionRequest

SAMPLING = (  # fields that completions of the library take by the same name
    *("temperature", "top_p", "min_p", "top_k", "repeat_penalty", "presence_penalty", "frequency_penalty"),
    *("mirostat_mode", "mirostat_tau", "mirostat_eta", "stop", "stream", "prediction"),
)


def completion_job(body: CompletionRequest, name: str) -> Job:
    """Continues every prompt ``n`` times."""
    more: dict[str, Any] = {
        "suffix": body.suffix,
        "echo": body.echo,
        "logprobs": body.logprobs,
        "max_tokens": body.max_tokens,
    }
    settings = {**_settings(body, name), **more}
    calls = [lambda llm, prompt=prompt: partial(llm.create_completion, prompt, **settings) for prompt in body.prompts()]
    return _job(body, calls, body.max_tokens, [str(prompt) if body.echo else "" for prompt in body.prompts()])


def chat_job(body: ChatRequest, name: str) -> Job:
    """Answers a conversation ``n`` times."""
    given = body.model_dump(
        include={"messages", "tools", "tool_choice", "functions", "function_call", "response_format"},
        exclude_none=True,
        by_alias=True,
    )
    limit = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    own = ("logprobs", "top_logprobs", "parallel_tool_calls", "reasoning_format", "chat_template_kwargs")
    more: dict[str, Any] = {**{field: getattr(body, field) for field in own}, "max_tokens": limit}
    settings = {**_settings(body, name), **given, **more}
    return _job(body, [lambda llm: partial(llm.create_chat_completion, **settings)], limit, [""])


def _settings(body: CompletionRequest | ChatRequest, name: str) -> dict[str, Any]:
    return {**{field: getattr(body, field) for field in SAMPLING}, "model": body.model or name}


def _job(
    body: CompletionRequest | ChatRequest, calls: list[Callable[..., Any]], limit: int | None, echoes: list[str]
) -> Job:
    """Each call ``n`` times; ``echoes`` are the texts that stand before their answers."""

    def call(one: Callable[..., Any], echo: str, sample: int, llm: Llama) -> Any:
        if llm._ctx.memory is None:
            msg = "this model embeds texts, it cannot generate: POST /v1/embeddings"
            raise ConfigError(msg)
        before = llm.stats
        own, answer = _own(llm, body, sample), one(llm)
        try:
            if limit == 0:
                return _unsaid(llm, answer(**own, max_tokens=1, stream=False), echo, stream=body.stream)
            return answer(**own)
        except Exception as error:
            if isinstance(error, (HDEdgeError, ValueError, MemoryError)) or llm.stats is not before:
                raise
            # nothing was generated yet: the messages do not fit the chat template, or an argument its meaning
            msg = f"this model cannot take the request: {type(error).__name__}: {error}"
            raise ConfigError(msg) from error

    return Job(
        [partial(call, one, echo, sample) for one, echo in zip(calls, echoes, strict=True) for sample in range(body.n)],
        samples=body.n,
        stream=body.stream,
        usage=body.wants_usage(),
        tiers=body.include_tiers,
        progress=body.return_progress and body.stream,
        user=body.user,
    )


def _unsaid(llm: Llama, made: dict[str, Any], echo: str, *, stream: bool) -> Any:
    """An answer of no tokens: the prompt was read, one token drawn and not said; llama_cpp knows no such limit."""
    choice, usage = made["choices"][0], made["usage"]
    choice["finish_reason"] = "length"
    told, drawn = choice["logprobs"], usage["completion_tokens"]
    if "text" in choice:
        choice["text"] = echo
        told = told and {name: entries[: len(entries) - drawn] for name, entries in told.items()}  # those of an echo
        choice["logprobs"] = told if told and told["tokens"] else None
    else:
        choice["message"], choice["logprobs"] = {"role": "assistant", "content": ""}, None
    usage["completion_tokens"], usage["total_tokens"] = 0, usage["prompt_tokens"]
    llm.stats.ends = llm.stats.tokens
    if not stream:
        return made
    del made["usage"]
    if "message" in choice:
        choice["delta"], made["object"] = choice.pop("message"), "chat.completion.chunk"
    return iter([made])


def _own(llm: Llama, body: CompletionRequest | ChatRequest, sample: int) -> dict[str, Any]:
    """Settings that every choice has for itself: processors keep state, and equal seeds give equal texts."""
    own: dict[str, Any] = {"seed": body.seed}
    if body.n > 1:
        own["seed"] = random.randrange(SEEDS) if body.seed in (None, -1) else (body.seed + sample) % SEEDS
    if body.grammar is not None:
        as_bytes("grammar", body.grammar)  # or half a character would be left out of the answer
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
        for token in llm.tokenize(as_bytes("logit_bias", text), add_bos=False, special=True)
    }
