"""Items of a response's conversation as messages of a chat completion, and which field each came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from .errors import RefusedError

Json = dict[str, Any]


def messages(instructions: str | None, items: list[Json], places: Sequence[str]) -> Iterator[tuple[Json, list[str]]]:
    """Messages of a conversation; calls that follow each other are one message's.

    Args:
        instructions: The system's message, if there is one.
        items: The conversation.
        places: The field of the request that each item comes from.

    Yields:
        A message, and the field or fields that it is made of.

    Raises:
        RefusedError: An item is of another type.
    """
    if instructions:
        yield {"role": "system", "content": instructions}, ["instructions"]
    calls: list[Json] = []
    origins: list[str] = []
    for place, item in zip(places, items, strict=True):
        kind = item.get("type", "message")
        if kind == "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            calls.append({"id": item.get("call_id", ""), "type": "function", "function": function})
            origins.append(place)
            continue
        if calls:
            yield {"role": "assistant", "content": None, "tool_calls": calls}, origins
            calls, origins = [], []
        if kind == "function_call_output":
            yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}, [place]
        elif kind == "message":
            yield {"role": item.get("role"), "content": item.get("content")}, [place]
        elif kind != "reasoning":
            msg = f"{place} is of type {kind!r}, expected message, function_call or function_call_output"
            raise RefusedError(400, msg, param=f"{place}.type")
    if calls:
        yield {"role": "assistant", "content": None, "tool_calls": calls}, origins


class Names:
    """What a response's request calls the fields of the chat completion that it becomes.

    Args:
        made: Messages, and the fields that they are made of.
    """

    def __init__(self, made: Sequence[tuple[Json, list[str]]]) -> None:
        self._made = made

    def __call__(self, name: str) -> str:
        """``input[0].role`` for ``messages[0].role``."""
        if found := re.match(r"messages(?:\[(\d+)\](?:\.tool_calls\[(\d+)\](?:\.function)?)?)?", name):
            message, call = found.groups()
            if message is None:
                return "input"
            sent, origins = self._made[int(message)]
            origin, rest = origins[int(call or 0)], name[found.end() :]
            if "tool_call_id" in sent:
                rest = re.sub(r"^\.content\b", ".output", rest.replace(".tool_call_id", ".call_id"))
            return origin + rest if origin.startswith("input[") else origin
        name = re.sub(r"^response_format(\.json_schema)?", "text.format", name)
        return re.sub(r"^max_tokens\b", "max_output_tokens", re.sub(r"^(tools\[\d+\])\.function", r"\1", name))

    def told(self, message: str, name: str | None) -> Json:
        """``message`` and ``param`` of an error object, which may begin with the field's name."""
        if name is None:
            return {}
        own = self(name)
        return {"param": own, "message": own + message[len(name) :] if message.startswith(name) else message}
