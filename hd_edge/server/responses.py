"""``POST /v1/responses``: OpenAI's newer API, as a chat completion in other words."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from .errors import RefusedError, invalid
from .fields import INT32, LEFT_OUT, Body, few, most_tokens, shaped
from .items import Names, messages
from .messages import MOST_PIECES, MOST_TOOLS
from .requests import ChatRequest
from .shape import Json, Shape

NOT_SUPPORTED = {
    "conversation": "send the conversation as input, or previous_response_id",
    "prompt": "send its text as instructions and input",
    "background": "wait for the response, or stream it",
    "top_logprobs": "POST /v1/chat/completions tells them",
}
LOGPROBS = "message.output_text.logprobs"  # an item of include; what else there is to include, this server never has


class ResponsesRequest(Body):
    """Body of ``POST /v1/responses``; fields that are not known are ignored."""

    input: Annotated[
        str | list[dict[str, Any]],
        shaped("a text, or a list of items such as {'role': 'user', 'content': '...'}"),
        few(MOST_PIECES),
    ]
    instructions: str | None = None
    max_output_tokens: Annotated[int | None, most_tokens(LEFT_OUT, 1)] = Field(default=None, ge=1, le=INT32)
    temperature: float | None = None
    top_p: float | None = None
    stream: bool = False
    tools: Annotated[list[dict[str, Any]], few(MOST_TOOLS)] = Field(default_factory=list)
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool | None = None
    text: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    previous_response_id: str | None = None
    store: bool = True
    truncation: Literal["auto", "disabled"] = "disabled"
    conversation: Any = Field(default=None, description="Not supported.")
    prompt: Any = Field(default=None, description="Not supported.")
    background: bool = Field(default=False, description="Not supported.")
    include: Annotated[list[Any], few(MOST_PIECES)] = Field(default_factory=list)
    top_logprobs: int | None = Field(default=None, ge=0, description="Not supported above 0.")

    def items(self, before: list[Json]) -> list[Json]:
        """The conversation: what was before, and what is new."""
        new = [{"role": "user", "content": self.input}] if isinstance(self.input, str) else self.input
        return [*before, *new]

    def chat(self, items: list[Json]) -> ChatRequest:
        """The same as a chat completion.

        Args:
            items: The conversation.

        Raises:
            RefusedError: It asks for something that chat completions do not have, or an item is none of them.
        """
        for name, instead in NOT_SUPPORTED.items():
            if getattr(self, name):
                raise _unsupported(name, name, instead)
        if LOGPROBS in self.include:
            raise _unsupported(LOGPROBS, "include", NOT_SUPPORTED["top_logprobs"])
        given: Json = {"model": self.model, "temperature": self.temperature, "top_p": self.top_p, "stream": self.stream}
        given |= {"max_tokens": self.max_output_tokens, "parallel_tool_calls": self.parallel_tool_calls}
        given["messages"] = [message for message, _ in messages(self.instructions, items, self.places(items))]
        if self.tools or self.tool_choice not in ("auto", "none"):
            given["tools"] = [_tool(tool, place) for place, tool in enumerate(self.tools)]
            given["tool_choice"] = _choice(self.tool_choice)
        form = (self.text or {}).get("format") or {"type": "text"}
        if not isinstance(form, dict):
            msg = f"text.format is of type {type(form).__name__}, expected an object with a type"
            raise RefusedError(400, msg, param="text.format")
        if form.get("type") == "json_schema":
            named = {key: form[key] for key in ("name", "schema", "strict") if form.get(key) is not None}
            form = {"type": "json_schema", "json_schema": named}
        given["response_format"] = form
        try:
            asked: ChatRequest = ChatRequest.model_validate(given)
        except ValidationError as error:
            places = error.errors()
            raise invalid([{**one, "loc": ("body", *one["loc"])} for one in places], self.names(items)) from error
        return asked

    def places(self, items: list[Json]) -> list[str]:
        """For each item of the conversation, the field of this request that it comes from."""
        if isinstance(self.input, str):
            return [*["previous_response_id"] * (len(items) - 1), "input"]
        before = len(items) - len(self.input)
        return [*["previous_response_id"] * before, *(f"input[{place}]" for place in range(len(self.input)))]

    def names(self, items: list[Json]) -> Names:
        """Names of this request's fields by those of the chat completion that it becomes."""
        return Names(list(messages(self.instructions, items, self.places(items))))


def _unsupported(what: str, param: str, instead: str) -> RefusedError:
    return RefusedError(400, f"{what} is not supported: {instead}", code="unsupported_parameter", param=param)


def _tool(tool: Json, place: int) -> Json:
    if tool.get("type") != "function":
        msg = f"tools[{place}] is of type {tool.get('type')!r}: this server calls functions only"
        raise RefusedError(400, msg, param=f"tools[{place}].type")
    return {
        "type": "function",
        "function": {key: value for key, value in tool.items() if key != "type"},
    }


def _choice(choice: str | Json) -> str | Json:
    """``tool_choice`` as chat completions spell it: with names in an object of their own."""
    if not isinstance(choice, dict):
        return choice
    if choice.get("type") != "allowed_tools":
        return {"type": "function", "function": {"name": choice.get("name")}}
    tools = choice.get("tools")
    tools = tools if isinstance(tools, list) else []
    named = [_tool(tool, place) if isinstance(tool, dict) else tool for place, tool in enumerate(tools)]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode"), "tools": named}}


class ResponseShape(Shape):
    """A response, or the events of one, from a chat completion.

    Args:
        body: What was asked.
        name: Of the model.
        names: Of the request's fields.
        done: Called with the response when it is whole.
    """

    def __init__(self, body: ResponsesRequest, name: str, names: Names, done: Callable[[Json], None]) -> None:
        self._done, self._names = done, names
        self._head: Json = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": body.model or name,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "previous_response_id": body.previous_response_id,
            "store": body.store,
            "parallel_tool_calls": bool(body.parallel_tool_calls),
            "temperature": body.temperature,
            "text": body.text or {"format": {"type": "text"}},
            "tool_choice": body.tool_choice,
            "tools": body.tools,
            "top_p": body.top_p,
            "error": None,
        }
        self._output: list[Json] = []  # items that are done, and perhaps one that is not
        self._open = False
        self._number = 0
        self._finish: str | None = None

    def whole(self, completion: Json) -> Json:
        """The response of a whole chat completion."""
        choice = completion["choices"][0]
        for _ in self.events({"choices": [{**choice, "delta": choice["message"]}]}):
            pass
        for _ in self._close():
            pass
        return self._response(completion["usage"])

    def events(self, chunk: Json) -> Iterator[Json]:
        """The events of one chunk of a stream."""
        if self._number == 0:
            for kind in ("response.created", "response.in_progress"):
                yield self._event(kind, response={**self._head, "status": "in_progress", "output": [], "usage": None})
        for choice in chunk["choices"]:
            for name in ("reasoning_content", "content"):
                if choice["delta"].get(name):
                    yield from self._text(name, choice["delta"][name])
            for call in choice["delta"].get("tool_calls", ()):
                yield from self._call(call)
            self._finish = choice["finish_reason"] or self._finish

    def end(self, usage: Json) -> Iterator[Json]:
        """The last events."""
        yield from self._close()
        response = self._response(usage)
        yield self._event(f"response.{response['status']}", response=response)

    def told(self, error: Json) -> Json:
        """An error object with this API's names of fields."""
        return {**error, **self._names.told(error["message"], error["param"])}

    def failed(self, error: Json) -> Json:
        """The event of an error."""
        return self._event("error", **error)

    def _response(self, usage: Json) -> Json:
        cut = self._finish == "length"
        counts = {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": usage["prompt_tokens_details"],
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0, **usage["completion_tokens_details"]},
            "total_tokens": usage["total_tokens"],
        }
        status = {"status": "incomplete" if cut else "completed"}
        why = {"incomplete_details": {"reason": "max_output_tokens"} if cut else None}
        response = {**self._head, **status, **why, "output": self._output, "usage": counts}
        self._done(response)
        return response

    # -- items ----------------------------------------------------------------------------------------------------

    def _text(self, name: str, text: str) -> Iterator[Json]:
        """A piece of a message's text, or of thoughts."""
        thoughts = name == "reasoning_content"
        kind, part_kind = ("reasoning", "reasoning_text") if thoughts else ("message", "output_text")
        if not self._open or self._output[-1]["type"] != kind:
            yield from self._close()
            item: Json = {"type": kind, "id": f"{kind}_{uuid.uuid4().hex}", "status": "in_progress", "content": []}
            if thoughts:
                item["summary"] = []
            else:
                item["role"] = "assistant"
            yield from self._begin(item)
            part: Json = {"type": part_kind, "text": ""}
            if not thoughts:
                part["annotations"] = []
            item["content"].append(part)
            yield self._event("response.content_part.added", part=dict(part), content_index=0, **self._place())
        self._output[-1]["content"][0]["text"] += text
        yield self._event(
            f"response.{part_kind}.delta", delta=text, content_index=0, **self._place(), **_empty(thoughts)
        )

    def _call(self, call: Json) -> Iterator[Json]:
        """A piece of a call; the first one has its name."""
        if "id" in call:
            yield from self._close()
            item: Json = {
                "type": "function_call",
                "id": f"fc_{uuid.uuid4().hex}",
                "call_id": call["id"],
                "arguments": "",
            }
            yield from self._begin({**item, "name": call["function"]["name"], "status": "in_progress"})
        if arguments := call["function"]["arguments"]:
            self._output[-1]["arguments"] += arguments
            yield self._event("response.function_call_arguments.delta", delta=arguments, **self._place())

    def _begin(self, item: Json) -> Iterator[Json]:
        self._output.append(item)
        self._open = True
        yield self._event("response.output_item.added", item=deepcopy(item), output_index=len(self._output) - 1)

    def _close(self) -> Iterator[Json]:
        """The open item is done."""
        if not self._open:
            return
        item, self._open = self._output[-1], False
        if item["type"] == "function_call":
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield self._event("response.function_call_arguments.done", **done, **self._place())
        else:
            part = item["content"][0]
            more = _empty(item["type"] == "reasoning")
            yield self._event(
                f"response.{part['type']}.done", text=part["text"], content_index=0, **self._place(), **more
            )
            yield self._event("response.content_part.done", part=part, content_index=0, **self._place())
        item["status"] = "incomplete" if self._finish == "length" else "completed"
        yield self._event("response.output_item.done", item=item, output_index=len(self._output) - 1)

    def _place(self) -> Json:
        return {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}

    def _event(self, kind: str, **more: Any) -> Json:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **more}


def _empty(thoughts: bool) -> Json:
    return {} if thoughts else {"logprobs": []}
