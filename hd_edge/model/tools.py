"""``tools`` and ``tool_choice`` of OpenAI's API: which tools an answer may call, and whether it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hd_edge.errors import ConfigError

CHOICES = ("none", "auto", "required")
_SHAPE = '{"type": "function", "function": {"name": "...", "parameters": {...}}}'


@dataclass(frozen=True)
class Tools:
    """What may be called.

    Attributes:
        mode: ``"none"``, ``"auto"`` or ``"required"``.
        given: All tools.
        allowed: Those that may be called, by their place among all.
    """

    mode: str
    given: list[dict[str, Any]]
    allowed: dict[int, dict[str, Any]]

    @classmethod
    def of(cls, tools: Any, choice: Any) -> Tools:
        """Reads the arguments.

        Raises:
            ConfigError: One has another shape, or the choice names no tool.
        """
        if tools is not None and not isinstance(tools, (list, tuple)):
            msg = f"tools is of type {type(tools).__name__}, expected a list of tools"
            raise ConfigError(msg, "tools")
        given = [_checked(tool, f"tools[{place}]") for place, tool in enumerate(tools or ())]
        allowed = dict(enumerate(given))
        if choice is None:
            choice = "auto" if given else "none"
        if isinstance(choice, dict):
            function = choice.get("function")
            name = function.get("name") if isinstance(function, dict) else None
            allowed = {place: tool for place, tool in allowed.items() if tool["function"]["name"] == name}
            if not allowed:
                known = ", ".join(repr(tool["function"]["name"]) for tool in given) or "there are none"
                msg = f"tool_choice names the function {name!r}, tools has {known}: name one of them"
                raise ConfigError(msg, "tool_choice")
            choice = "required"
        if choice not in CHOICES:
            msg = f"tool_choice is {str(choice)[:60]!r}, expected one of {', '.join(CHOICES)}, or a named function"
            raise ConfigError(msg, "tool_choice")
        if choice == "required" and not given:
            msg = "tool_choice is 'required' and tools is empty: give at least one tool"
            raise ConfigError(msg, "tool_choice")
        return cls(choice if given else "none", given, allowed)


def _checked(tool: Any, place: str) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name or tool.get("type", "function") != "function":
        msg = f"{place} is {str(tool)[:60]}, expected {_SHAPE}"
        raise ConfigError(msg, place)
    return {"type": "function", **tool}
