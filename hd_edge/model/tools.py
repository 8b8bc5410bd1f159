"""``tools`` and ``tool_choice`` of OpenAI's API: which tools an answer may call, and whether it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hd_edge.errors import ConfigError

CHOICES = ("none", "auto", "required")
_SHAPE = '{"type": "function", "function": {"name": "...", "parameters": {...}}}'
_SUBSET = """{"type": "allowed_tools", "allowed_tools": {"mode": "auto" or "required", "tools": [at least one]}}"""


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
            choice, names = _chosen(choice)
            known = [tool["function"]["name"] for tool in given]
            for name in names:
                if name not in known:
                    has = ", ".join(map(repr, known)) or "there are none"
                    msg = f"tool_choice names the function {name!r}, tools has {has}: name one of them"
                    raise ConfigError(msg, "tool_choice")
            allowed = {place: tool for place, tool in allowed.items() if tool["function"]["name"] in names}
        if choice not in CHOICES:
            msg = f"tool_choice is {str(choice)[:60]!r}, expected one of {', '.join(CHOICES)}, or a named function"
            raise ConfigError(msg, "tool_choice")
        if choice == "required" and not given:
            msg = "tool_choice is 'required' and tools is empty: give at least one tool"
            raise ConfigError(msg, "tool_choice")
        return cls(choice if given else "none", given, allowed)


def _chosen(choice: dict[str, Any]) -> tuple[str, list[Any]]:
    """Mode and names of a function that shall be called, or of several (``allowed_tools``)."""
    if choice.get("type") != "allowed_tools":
        return "required", [_name(choice)]
    subset = choice.get("allowed_tools")
    subset = subset if isinstance(subset, dict) else {}
    mode, tools = subset.get("mode"), subset.get("tools")
    if mode not in ("auto", "required") or not isinstance(tools, list) or not tools:
        msg = f"tool_choice is {str(choice)[:60]}, expected {_SUBSET}"
        raise ConfigError(msg, "tool_choice")
    return mode, [_name(tool) for tool in tools]


def _name(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def _checked(tool: Any, place: str) -> dict[str, Any]:
    name = _name(tool)
    if not isinstance(name, str) or not name or tool.get("type", "function") != "function":
        msg = f"{place} is {str(tool)[:60]}, expected {_SHAPE}"
        raise ConfigError(msg, place)
    return {"type": "function", **tool}
