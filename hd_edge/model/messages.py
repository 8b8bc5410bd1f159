"""Messages of a conversation in the one form that chat templates know: text, and roles that every model has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hd_edge.errors import ConfigError

ROLES = {"developer": "system"}  # OpenAI's newer name
TEXTS = ("text", "input_text", "output_text", "refusal")  # types of parts; a refusal's text has its type's name


def plain_messages(messages: Any) -> list[dict[str, Any]]:
    """Messages with their parts joined (a line each, as llama-server does), ``null`` as no text.

    Raises:
        ConfigError: A message is none, or has parts other than text.
    """
    if isinstance(messages, (str, bytes)) or not isinstance(messages, Sequence):
        msg = f"messages is of type {type(messages).__name__}, expected a list of dicts with role and content"
        raise ConfigError(msg, "messages")
    return [_plain(message, f"messages[{place}]") for place, message in enumerate(messages)]


def _plain(message: Any, place: str) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        msg = f"{place} is {str(message)[:60]!r}, expected a dict with role and content"
        raise ConfigError(msg, place)
    role, content = message["role"], message.get("content")
    plain = {**message, "role": ROLES.get(role, role), "content": _text(content, f"{place}.content")}
    if plain.get("tool_calls") is None:
        plain.pop("tool_calls", None)
    return plain


def _text(content: Any, place: str) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        msg = f"{place} is of type {type(content).__name__}, expected a text or a list of parts"
        raise ConfigError(msg, place)
    return "\n".join(_part(part, f"{place}[{i}]") for i, part in enumerate(content))


def _part(part: Any, place: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get("refusal" if kind == "refusal" else "text") if kind in TEXTS else None
    if not isinstance(text, str):
        msg = f"{place} is of type {kind!r}: this model takes parts of type 'text' with a text"
        raise ConfigError(msg, place)
    return text


def called(message: dict[str, Any], *, as_text: bool) -> dict[str, Any]:
    """A message whose calls have their arguments as a template wants them: JSON as text, or what it says."""
    calls = []
    for call in message.get("tool_calls") or ():
        function = call.get("function", call)
        calls.append({**call, "function": {**function, "arguments": _arguments(function.get("arguments"), as_text)}})
    return {**message, "tool_calls": calls} if calls else message


def _arguments(arguments: Any, as_text: bool) -> Any:
    if not isinstance(arguments, str):
        return json.dumps(arguments, ensure_ascii=False) if as_text else arguments
    if as_text:
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments  # a model may have said what is no JSON
