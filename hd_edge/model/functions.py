"""``functions`` and ``function_call`` of OpenAI's API: the older names of ``tools`` and ``tool_choice``."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from hd_edge.errors import ConfigError

_SHAPE = '{"name": "...", "parameters": {...}}'


def as_tools(functions: Any, call: Any) -> tuple[list[dict[str, Any]], Any]:
    """Both under their newer names.

    Args:
        functions: What may be called; None: nothing.
        call: Whether one must be.

    Raises:
        ConfigError: One has another shape, or the call names no function.
    """
    given = [] if functions is None else functions
    if not isinstance(given, (list, tuple)):
        msg = f"functions is of type {type(given).__name__}, expected a list of functions"
        raise ConfigError(msg, "functions")
    for place, function in enumerate(given):
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not name:
            msg = f"functions[{place}] is {str(function)[:60]}, expected {_SHAPE}"
            raise ConfigError(msg, f"functions[{place}]")
    tools = [{"type": "function", "function": function} for function in given]
    if call is None or call in ("none", "auto"):
        return tools, call
    name = call.get("name") if isinstance(call, dict) else None
    if not isinstance(name, str):
        msg = f"""function_call is {str(call)[:60]!r}, expected none, auto, or {{"name": "..."}}"""
        raise ConfigError(msg, "function_call")
    known = [function["name"] for function in given]
    if name not in known:
        has = ", ".join(map(repr, known)) or "none"
        msg = f"function_call names the function {name!r}, functions has {has}: name one of them"
        raise ConfigError(msg, "function_call")
    return tools, {"type": "function", "function": {"name": name}}


def renamed(settings: dict[str, Any]) -> bool:
    """Gives both their newer names among the arguments of a call.

    Returns:
        There are functions.

    Raises:
        ConfigError: As ``as_tools``, or both names are used.
    """
    tools, choice = as_tools(settings.pop("functions", None), settings.pop("function_call", None))
    if tools and settings.get("tools"):
        msg = "functions and tools are both given, the one is the older name of the other: leave functions out"
        raise ConfigError(msg, "functions")
    if tools:
        settings |= {"tools": tools, "tool_choice": choice}
    return bool(tools)


def newer(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages with calls, and with what they gave, under the newer names of both."""
    made: list[dict[str, Any]] = []
    name = ""  # of the last call
    for place, message in enumerate(messages):
        newest = {key: value for key, value in message.items() if key != "function_call"}
        call = message.get("function_call")
        if isinstance(call, dict) and not message.get("tool_calls"):
            newest["tool_calls"] = [{"id": f"call_{place}", "type": "function", "function": call}]
        calls = newest.get("tool_calls")
        if isinstance(calls, list) and calls and isinstance(calls[0], dict):
            name = str(calls[0].get("id", ""))
        if message["role"] == "function":
            newest |= {"role": "tool", "tool_call_id": name}
        made.append(newest)
    return made


def older(chunks: Generator[dict[str, Any], None, None]) -> Generator[dict[str, Any], None, None]:
    """Chunks of an answer that tell a call under both names."""
    try:
        for chunk in chunks:
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls", ()):
                    if call["index"] == 0:  # there is one: the older name has no list
                        choice["delta"]["function_call"] = dict(call["function"])
                if choice["finish_reason"] == "tool_calls":
                    choice["finish_reason"] = "function_call"
            yield chunk
    finally:
        chunks.close()
