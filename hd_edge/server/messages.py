"""Parts of a chat request: messages, tools, and the form of the answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .fields import few, shaped, wrong
from .shown import shown

NAMES = "^[a-zA-Z0-9_-]{1,64}$"  # of functions and schemas, as in OpenAI's API
MOST_TOOLS = 128
MOST_PIECES = 16_384  # messages of a conversation, with the parts and calls in them: each is several tokens


class Part(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(extra="allow")

    type: str


Content = Annotated[
    str | list[Part], shaped("a text, a list of parts such as {'type': 'text', 'text': '...'}, or null")
]


class CalledFunction(BaseModel):
    """What the model called; ``arguments`` is JSON as text."""

    name: str
    arguments: str


class ToolCall(BaseModel):
    """A call that an assistant's message made."""

    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(BaseModel):
    """A message of a conversation; fields beyond these go to the model's chat template."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Message:
        if self.content is None and self.role != "assistant":
            msg = "a message of role {role} needs content, it has none"
            raise wrong(msg, role=shown(self.role))
        return self


def _countable(messages: Any) -> Any:
    """Refuses a conversation of too many pieces before they are read one by one, which everybody waits for."""
    if isinstance(messages, list):
        inner = [
            message.get(key) for message in messages if isinstance(message, dict) for key in ("content", "tool_calls")
        ]
        pieces = len(messages) + sum(len(each) for each in inner if isinstance(each, list))
        if pieces > MOST_PIECES:
            msg = "the conversation has {got} messages, parts and calls, at most {most} are taken: send less"
            raise wrong(msg, got=str(pieces), most=str(MOST_PIECES))
    return messages


Messages = Annotated[list[Message], BeforeValidator(_countable)]


class Function(BaseModel):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(pattern=NAMES)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    """A tool that the model may call."""

    type: Literal["function"]
    function: Function


class NamedFunction(BaseModel):
    """The function that shall be called."""

    name: str


class NamedTool(BaseModel):
    """The tool that shall be called."""

    type: Literal["function"] = "function"
    function: NamedFunction


FunctionCall = Annotated[Literal["none", "auto"] | NamedFunction, shaped("'none', 'auto', or {'name': '...'}")]


class Subset(BaseModel):
    """Some of the tools, and whether one must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], few(MOST_TOOLS)] = Field(min_length=1)


class AllowedTools(BaseModel):
    """The tools that may be called, where all are told to the model."""

    type: Literal["allowed_tools"]
    allowed_tools: Subset


ToolChoice = Annotated[
    Literal["none", "auto", "required"] | AllowedTools | NamedTool,
    shaped(
        "'none', 'auto', 'required', {'type': 'function', 'function': {'name': '...'}}, or {'type': 'allowed_tools', "
        "'allowed_tools': {'mode': 'auto', 'tools': [...]}}"
    ),
]


class JsonSchema(BaseModel):
    """A named JSON schema."""

    name: str = Field(default="answer", pattern=NAMES)
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """Form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    schema_: Any = Field(default=None, alias="schema", description="For json_object, as in llama_cpp.")
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _check(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            msg = "type 'json_schema' needs a field json_schema with name and schema"
            raise wrong(msg)
        return self
