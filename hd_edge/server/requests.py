"""Request bodies: OpenAI's, with what llama.cpp knows beyond them, and with bounds on numbers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .fields import INT32, LEFT_OUT, Bias, Body, Stop, Texts, Tokens, few, most_tokens, separate, wrong
from .messages import MOST_TOOLS, Function, FunctionCall, Messages, ResponseFormat, Tool, ToolChoice

MOST_CHOICES = 128  # of one request, as in OpenAI's API
MOST_TOP = 20  # top_logprobs, as in OpenAI's API
MOST_EMBEDDED = 2048  # texts of one request, as in OpenAI's API


class GenerationRequest(Body):
    """What completions and chat completions have in common."""

    n: int = Field(default=1, ge=1, le=MOST_CHOICES, description="Choices for each prompt.")
    max_tokens: Annotated[int | None, most_tokens(LEFT_OUT)] = Field(
        default=None, ge=0, le=INT32, description="Most tokens of an answer."
    )
    min_tokens: int = Field(default=0, ge=0, le=INT32, description="No end of the answer before so many tokens.")
    temperature: float = Field(default=0.8, ge=0, le=1000, description="0: always the likeliest token.")
    top_p: float = Field(default=0.95, ge=0, le=1)
    min_p: float = Field(default=0.05, ge=0, le=1)
    top_k: int = Field(default=40, ge=0, le=INT32, description="Choose among the k likeliest tokens; 0: all.")
    repeat_penalty: float = Field(default=1.1, gt=0, le=1000, description="Above 1: repeats are less likely.")
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    mirostat_mode: int = Field(default=0, ge=0, le=2)
    mirostat_tau: float = Field(default=5.0, ge=0, le=10)
    mirostat_eta: float = Field(default=0.1, ge=0.001, le=1)
    seed: int | None = Field(default=None, ge=-1, le=2**32 - 1, description="Of choice 0, others count up; -1: random.")
    stop: Stop | None = None
    stream: bool = False
    logit_bias: Bias | None = None
    logit_bias_type: Literal["input_ids", "tokens"] = "input_ids"
    grammar: str | None = Field(default=None, description="GBNF.")
    prediction: Any = Field(default=None, description="Text the answer is expected to repeat, as in OpenAI's API.")
    stream_options: dict[str, Any] | None = Field(default=None, description="include_usage: one more chunk with usage.")
    include_tiers: bool = Field(default=False, description="Each chunk's choice tells the tier it was drafted from.")
    return_progress: bool = Field(default=False, description="A stream tells how much of the prompt is read.")

    def wants_usage(self) -> bool:
        """True if a stream shall end with a chunk of usage."""
        return bool((self.stream_options or {}).get("include_usage"))


class CompletionRequest(GenerationRequest):
    """Body of ``POST /v1/completions``."""

    prompt: Texts = Field(default="", description="One or several, text or tokens.")
    suffix: str | None = None
    max_tokens: Annotated[int | None, most_tokens("as many as the context holds")] = Field(
        default=16, ge=0, le=INT32, description="Most tokens of an answer."
    )
    echo: bool = False
    logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP, description="Likeliest tokens to tell at each place.")
    best_of: int | None = Field(default=None, description="Not supported, beside the value of n.")

    def prompts(self) -> list[str | list[int]]:
        """Every prompt on its own."""
        return separate(self.prompt)

    @model_validator(mode="after")
    def _check(self) -> CompletionRequest:
        prompts = self.prompts()
        if not prompts:
            msg = "at least one prompt is expected, the list is empty"
            raise wrong(msg, param="prompt")
        if (choices := len(prompts) * self.n) > MOST_CHOICES:
            msg = f"{len(prompts)} prompts with n={self.n} are {choices} choices, at most {MOST_CHOICES}"
            raise wrong(msg, param="n")
        if self.best_of not in (None, 1, self.n):
            msg = f"best_of={self.best_of} is not supported with n={self.n}: ask for n choices and take the best"
            raise wrong(msg, param="best_of")
        if self.echo and not all(isinstance(prompt, str) for prompt in prompts):
            msg = "echo needs a prompt of text, it is of token ids: send text, or put the answer behind it"
            raise wrong(msg, param="echo")
        return self


class ChatRequest(GenerationRequest):
    """Body of ``POST /v1/chat/completions``."""

    messages: Messages = Field(min_length=1)
    max_completion_tokens: Annotated[int | None, most_tokens(LEFT_OUT)] = Field(
        default=None, ge=0, le=INT32, description="Newer name of max_tokens."
    )
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP, description="Needs logprobs.")
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool] | None, few(MOST_TOOLS)] = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_format: Literal["none", "auto"] = Field(default="auto", description="auto: thoughts come apart.")
    chat_template_kwargs: dict[str, Any] | None = Field(default=None, description="Variables for the chat template.")
    functions: Annotated[list[Function] | None, few(MOST_TOOLS)] = Field(
        default=None, description="Older name of tools."
    )
    function_call: FunctionCall | None = Field(default=None, description="Older name of tool_choice.")

    @model_validator(mode="after")
    def _check(self) -> ChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            msg = f"top_logprobs={self.top_logprobs} needs logprobs=true"
            raise wrong(msg, param="top_logprobs")
        held = {"response_format": self.response_format is not None and self.response_format.type != "text"}
        held |= {name: bool(getattr(self, name)) for name in ("tools", "functions")}
        if self.grammar is not None and (other := next((name for name, given in held.items() if given), None)):
            msg = f"grammar and {other} are both given, an answer can follow one of them: leave one out"
            raise wrong(msg, param="grammar")
        return self


class EmbeddingRequest(Body):
    """Body of ``POST /v1/embeddings``."""

    input: Texts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, description="Not supported: a model has its own.")

    @model_validator(mode="after")
    def _check(self) -> EmbeddingRequest:
        if (texts := len(separate(self.input))) > MOST_EMBEDDED:
            msg = f"{texts} texts are given, at most {MOST_EMBEDDED} are embedded at a time: send less"
            raise wrong(msg, param="input")
        return self


class TokenizeRequest(Body):
    """Body of ``POST /extras/tokenize`` and ``/extras/tokenize/count``."""

    input: str


class DetokenizeRequest(Body):
    """Body of ``POST /extras/detokenize``."""

    tokens: Tokens
