"""How models write calls of tools: the formats that are read here, and which one a chat template was made for."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = r'"name"\s*:\s*"(?P<name>(?:[^"\\]|\\.)*)"'


@dataclass(frozen=True)
class CallFormat:
    """A format of calls.

    Attributes:
        name: For messages.
        opening: Text before a call, or before the list of them.
        closing: Text behind a call; empty: whatever follows the opening is calls.
        head: A call up to its arguments, which are a JSON object.
        start: The spelling of ``head``, with ``%s`` for the name, as models are trained to write it.
        end: What closes a call's arguments.
        between: What stands between two calls.
        listed: What opens and closes a list of calls.
        bare: Where an answer begins with a call, the opening may be missing.
        trigger: Text at which a grammar of calls begins, or where an answer that is a bare call gives itself away.
        own: The template writes tools; else their description is put into the system's text.
    """

    name: str
    opening: str
    closing: str
    head: re.Pattern[str]
    start: str
    end: str
    between: str
    trigger: re.Pattern[bytes]
    listed: tuple[str, str] = ("", "")
    bare: re.Pattern[str] | None = None
    own: bool = True

    @property
    def marks(self) -> tuple[str, ...]:
        """Texts that may be control tokens."""
        return tuple(mark for mark in (self.opening, self.closing, "[ARGS]", "[CALL_ID]") if mark)


def _head(key: str) -> re.Pattern[str]:
    return re.compile(rf'\{{\s*(?:"(?:id|type)"\s*:\s*"[^"]*"\s*,\s*)*{NAME}\s*,\s*"{key}"\s*:\s*(?=\{{)')


HERMES = CallFormat(
    name="hermes",
    opening="<tool_call>",
    closing="</tool_call>",
    head=_head("(?:arguments|parameters)"),
    start='\n{"name": "%s", "arguments": ',
    end="}\n</tool_call>",
    between="\n<tool_call>",
    trigger=re.compile(rb"<tool_call>"),
)
GENERIC = CallFormat(**{**HERMES.__dict__, "name": "generic", "own": False})
PHI = CallFormat(
    name="phi",
    opening="<|tool_call|>",
    closing="<|/tool_call|>",
    head=_head("(?:arguments|parameters)"),
    start='{"name": "%s", "arguments": ',
    end="}<|/tool_call|>",
    between="<|tool_call|>",
    trigger=re.compile(rb"<\|tool_call\|>"),
)
MISTRAL = CallFormat(
    name="mistral",
    opening="[TOOL_CALLS]",
    closing="",
    head=_head("arguments"),
    start='{"name": "%s", "arguments": ',
    end="}",
    between=", ",
    trigger=re.compile(rb"\[TOOL_CALLS\]"),
    listed=("[", "]"),
)
MISTRAL_ARGS = CallFormat(  # since version 11 of Mistral's tokenizer
    name="mistral",
    opening="[TOOL_CALLS]",
    closing="",
    head=re.compile(r"\s*(?P<name>[\w-]+)\s*(?:\[CALL_ID\]\w*\s*)?\[ARGS\]\s*(?=\{)"),
    start="%s[ARGS]",
    end="",
    between="[TOOL_CALLS]",
    trigger=re.compile(rb"\[TOOL_CALLS\]"),
)
LLAMA3 = CallFormat(
    name="llama3",
    opening="<|python_tag|>",
    closing="",
    head=_head("(?:parameters|arguments)"),
    start='{"name": "%s", "parameters": ',
    end="}",
    between="; ",
    trigger=re.compile(rb'\A\s*(?:<\|python_tag\|>)?\s*(?=\{\s*"name"\s*:\s*")|<\|python_tag\|>'),
    bare=re.compile(r'\s*\{\s*"name"\s*:\s*"'),
)


def format_of(template: str, *, takes_tools: bool) -> CallFormat:
    """The format that a chat template asks for.

    Args:
        template: Jinja2 text.
        takes_tools: Whether it writes the tools that it is given.
    """
    if takes_tools and "[TOOL_CALLS]" in template:
        return MISTRAL_ARGS if "[ARGS]" in template else MISTRAL
    if takes_tools and "<tool_call>" in template and "<function=" not in template:
        return HERMES
    if takes_tools and "<|tool_call|>" in template:
        return PHI
    if takes_tools and "<|start_header_id|>" in template and "parameters" in template:
        return LLAMA3
    return GENERIC
