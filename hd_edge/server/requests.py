"""Request bodies: those of ``llama_cpp.server``, with what OpenAI's API has beyond them, and with bounds on numbers."""

from __future__ import annotations

from typing import Annotated, Any

from llama_cpp.server.types import CreateChatCompletionRequest, CreateCompletionRequest
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .messages import answer_form, message, tool_choice

NOT_FOR_LLAMA = {  # fields that the server itself reads
    "n",
    "best_of",
    "user",
    "prompt",
    "grammar",
    "logit_bias",
    "logit_bias_type",
    "min_tokens",
    "seed",
    "stream_options",
    "include_tiers",
    "return_progress",
    "max_completion_tokens",
}
MOST_CHOICES = 128  # of one request, as in OpenAI's API
INT32 = 2**31 - 1
MOST_NAME = 1024  # characters of a model's name, which every chunk of an answer repeats


def _short(name: str | None) -> str | None:
    if name is not None and len(name) > MOST_NAME:  # not max_length, which refuses half a character
        msg = f"the name has {len(name)} characters, at most {MOST_NAME} are taken"
        raise ValueError(msg)
    return name


Name = Annotated[str | None, AfterValidator(_short)]
Tokens = list[Annotated[int, Field(ge=0, le=INT32)]]


class _Extension(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    model: Name = Field(default=None, description="Ignored; answers repeat it.")
    n: int = Field(default=1, ge=1, le=MOST_CHOICES, description="Choices for each prompt.")
    max_tokens: int | None = Field(default=None, ge=1, le=INT32, description="Most tokens of an answer.")
    min_tokens: int = Field(default=0, ge=0, le=INT32, description="No end of the answer before so many tokens.")
    temperature: float = Field(default=0.8, ge=0, le=1000, description="0: always the likeliest token.")
    top_k: int = Field(default=40, ge=0, le=INT32, description="Choose among the k likeliest tokens; 0: all.")
    repeat_penalty: float = Field(default=1.1, gt=0, le=1000, description="Above 1: repeats are less likely.")
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    seed: int | None = Field(default=None, ge=-1, le=2**32 - 1, description="Of choice 0, others count up; -1: random.")
    stop: str | Annotated[list[str], Field(max_length=64)] | None = Field(default=None)
    prediction: Any = Field(default=None, description="Text the answer is expected to repeat, as in OpenAI's API.")
    stream_options: dict[str, Any] | None = Field(default=None, description="include_usage: one more chunk with usage.")
    include_tiers: bool = Field(default=False, description="Each chunk's choice tells the tier it was drafted from.")
    return_progress: bool = Field(default=False, description="A stream tells how much of the prompt is read.")

    def wants_usage(self) -> bool:
        """True if a stream shall end with a chunk of usage."""
        return bool((self.stream_options or {}).get("include_usage"))


class CompletionRequest(_Extension, CreateCompletionRequest):
    """Body of ``POST /v1/completions``."""

    prompt: str | list[str] | Tokens | list[Tokens] = Field(default="", description="One or several, text or tokens.")
    max_tokens: int | None = Field(default=16, ge=1, le=INT32, description="Most tokens of an answer.")
    best_of: int | None = Field(default=None, description="Not supported, beside the value of n.")

    def prompts(self) -> list[str | list[int]]:
        """Every prompt on its own."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        tokens = [part for part in self.prompt if isinstance(part, int)]
        return [tokens] if tokens else [part for part in self.prompt if not isinstance(part, int)]

    @model_validator(mode="after")
    def _check(self) -> CompletionRequest:
        prompts = self.prompts()
        if not prompts:
            msg = "prompt is an empty list: at least one prompt is expected"
            raise ValueError(msg)
        if len(prompts) * self.n > MOST_CHOICES:
            msg = f"{len(prompts)} prompts with n={self.n} are {len(prompts) * self.n} choices, at most {MOST_CHOICES}"
            raise ValueError(msg)
        if self.best_of not in (None, 1, self.n):
            msg = f"best_of={self.best_of} is not supported with n={self.n}: ask for n choices and take the best"
            raise ValueError(msg)
        if self.echo and not all(isinstance(prompt, str) for prompt in prompts):
            msg = "echo needs a prompt of text, it is of token ids: send text, or put the answer behind it yourself"
            raise ValueError(msg)
        return self


class ChatRequest(_Extension, CreateChatCompletionRequest):
    """Body of ``POST /v1/chat/completions``."""

    messages: list[Annotated[dict[str, Any], BeforeValidator(message)]] = Field(default=[], description="In order.")
    response_format: Annotated[Any, BeforeValidator(answer_form)] = Field(
        default=None, description="text, json_object (with a schema, perhaps), or json_schema."
    )
    max_completion_tokens: int | None = Field(default=None, ge=1, le=INT32, description="Newer name of max_tokens.")

    @model_validator(mode="before")
    @classmethod
    def _one_tool(cls, body: Any) -> Any:
        if isinstance(body, dict) and body.get("tool_choice") == "required":
            return {**body, "tool_choice": tool_choice("required", body.get("tools"))}
        return body


class EmbeddingRequest(BaseModel):
    """Body of ``POST /v1/embeddings``."""

    model: Name = None
    input: str | list[str]


class TokenizeRequest(BaseModel):
    """Body of ``POST /extras/tokenize`` and ``/extras/tokenize/count``."""

    model: Name = None
    input: str


class DetokenizeRequest(BaseModel):
    """Body of ``POST /extras/detokenize``."""

    model: Name = None
    tokens: Tokens
