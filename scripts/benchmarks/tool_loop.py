"""A coding agent's conversation of many turns, every call forced and every result scripted, as request bodies.

Two ways to force a call: ``tools`` (``tool_choice``, OpenAI's tools) and ``schema`` (``response_format``, the tools
told in the system's words), in which all servers read the same text. What a server said stands in its next prompt, as
an agent would send it; what the tools answer follows from the turn alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODES = ("schema", "tools")
TURNS = 20
SHOWN = 12  # lines of a file that a tool shows
FILES = ("spec_bench.py", "llama_server.py", "edit_bench.py", "trace_bench.py", "overhead.py")
FOLDER = Path(__file__).parent
ORDER = ("list_files", "read_file", "edit_file", "run_tests")


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _arguments(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PATH = {"type": "string", "enum": [f"scripts/benchmarks/{name}" for name in FILES]}
TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "list_files": ("List the files of a folder.", _arguments(folder=_text(40), pattern=_text(20))),
    "read_file": ("Show twelve lines of a file.", _arguments(path=PATH, first_line={"type": "integer"})),
    "edit_file": ("Replace a text in a file.", _arguments(path=PATH, old=_text(120), new=_text(120))),
    "run_tests": ("Run the tests of a file.", _arguments(path=PATH, verbose={"type": "boolean"})),
}
SYSTEM = "You are a coding agent. You call one tool at a time and read its result before the next call."


def wanted(turn: int) -> str:
    """The tool of a turn."""
    return ORDER[turn % len(ORDER)]


def result(turn: int) -> str:
    """What the tool of a turn answers, whatever it was called with."""
    name = FILES[turn // len(ORDER) % len(FILES)]
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    if wanted(turn) == "list_files":
        return "\n".join(f"scripts/benchmarks/{file}  {100 + 7 * turn + at} lines" for at, file in enumerate(FILES))
    if wanted(turn) == "run_tests":
        return f"{turn + 3} passed, 1 failed in scripts/benchmarks/{name}, line {turn + 20}"
    first = 10 + turn
    shown = [f"{first + at}: {line}" for at, line in enumerate(lines[first : first + SHOWN])]
    return "\n".join([f"scripts/benchmarks/{name}", *shown])


def schema_of(tool: str) -> dict[str, Any]:
    """The form of a call in the mode ``schema``."""
    return _arguments(tool={"const": tool}, arguments=TOOLS[tool][1])


class Conversation:
    """One loop with one server.

    Args:
        mode: One of ``MODES``.
        number: Of the loop; its task differs from that of other loops, what stands before it does not.
        named: The server takes a function's name as ``tool_choice``, and knows no ``"required"``.
        tokens: Most tokens of a call.
    """

    def __init__(self, mode: str, number: int, *, named: bool = False, tokens: int = 160) -> None:
        self._mode, self._named, self._tokens = mode, named, tokens
        system = SYSTEM
        if mode == "schema":
            told = [f"- {name}: {about} {json.dumps(form)}" for name, (about, form) in TOOLS.items()]
            system = "\n".join([SYSTEM, "Answer with a call as JSON. The tools:", *told])
        task = f"Task {number}: one test of {FILES[number % len(FILES)]} fails. Find out why, mend it, run the tests."
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": system}, {"role": "user", "content": task}]

    def body(self, turn: int) -> dict[str, Any]:
        """The request of a turn: greedy, nothing that one server's defaults would change."""
        shared = {"messages": self.messages, "temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": self._tokens}
        if self._mode == "schema":
            return {**shared, "response_format": {"type": "json_object", "schema": schema_of(wanted(turn))}}
        functions = [
            {"type": "function", "function": {"name": name, "description": about, "parameters": form}}
            for name, (about, form) in TOOLS.items()
        ]
        choice = {"type": "function", "function": {"name": wanted(turn)}} if self._named else "required"
        return {**shared, "tools": functions, "tool_choice": choice, "parallel_tool_calls": False}

    def hear(self, turn: int, message: dict[str, Any]) -> bool:
        """Goes on with a server's message and the tool's result; whether the message was a sound call."""
        calls = message.get("tool_calls") or []
        if self._mode == "schema":
            said = {"role": "assistant", "content": message["content"]}
            self.messages += [said, {"role": "user", "content": f"Result:\n{result(turn)}"}]
            return _follows(message["content"], schema_of(wanted(turn)))
        self.messages.append({"role": "assistant", "content": message.get("content") or "", "tool_calls": calls[:1]})
        answered = {"tool_call_id": calls[0]["id"] if calls else "none", "content": result(turn)}
        self.messages.append({"role": "tool", **answered})
        called = calls[0]["function"] if calls else {"name": "", "arguments": ""}
        return called["name"] in TOOLS and _follows(called["arguments"], TOOLS[called["name"]][1])


def _follows(text: str, form: dict[str, Any]) -> bool:
    """Whether a text is JSON of that form, of the keywords that stand in this file."""
    try:
        return _fits(json.loads(text), form)
    except json.JSONDecodeError:  # cut off by the most tokens, or no call at all
        return False


def _fits(value: Any, form: dict[str, Any]) -> bool:
    if "const" in form:
        return bool(value == form["const"])
    if form["type"] == "object":
        inside = form["properties"]
        return isinstance(value, dict) and set(value) == set(inside) and all(_fits(value[k], inside[k]) for k in inside)
    if form["type"] == "string":
        allowed = form.get("enum")
        return isinstance(value, str) and (value in allowed if allowed else 1 <= len(value) <= form["maxLength"])
    return type(value) is {"integer": int, "boolean": bool}[form["type"]]
