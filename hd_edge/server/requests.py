"""Request bodies: those of ``llama_cpp.server``, with what OpenAI's API has beyond them."""

from __future__ import annotations

from typing import Any

from llama_cpp.server.types import CreateChatCompletionRequest, CreateCompletionRequest
from pydantic import BaseModel, Field

NOT_FOR_LLAMA = {  # fields that the server itself reads
    "n",
    "best_of",
    "user",
    "min_tokens",
    "logit_bias_type",
    "stream_options",
    "include_tiers",
    "max_completion_tokens",
}


class _Extension(BaseModel):
    prediction: Any = Field(default=None, description="Text the answer is expected to repeat, as in OpenAI's API.")
    stream_options: dict[str, Any] | None = Field(default=None, description="include_usage: one more chunk with usage.")
    include_tiers: bool = Field(default=False, description="Each chunk's choice tells the tier it was drafted from.")

    def wants_usage(self) -> bool:
        """True if a stream shall end with a chunk of usage."""
        return bool((self.stream_options or {}).get("include_usage"))


class CompletionRequest(_Extension, CreateCompletionRequest):
    """Body of ``POST /v1/completions``."""


class ChatRequest(_Extension, CreateChatCompletionRequest):
    """Body of ``POST /v1/chat/completions``."""

    max_completion_tokens: int | None = Field(default=None, ge=1, description="OpenAI's newer name of max_tokens.")
