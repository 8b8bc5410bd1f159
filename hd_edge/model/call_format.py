"""How models write calls of tools: the formats that are read here, and which one a chat template was made for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

NAME = r'"name"\s*:\s*"(?P<name>(?:[^"\\]|\\.)*)"'
BEHIND = re.compile(r'[\s,;\]}]*(?:"id"\s*:\s*"[^"]*"[\s,;\]}]*)?')  # of a list


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
        inner: More texts that may be control tokens.
        behind: What else may stand behind a call, or between two.
        xml: Arguments are written as elements, not as JSON; ``head`` is then a whole call's beginning.
        single: A message has one call at most.
        description: What is put into the system's text; ``%s`` stands for the tools, a line each. Empty: Hermes' own.
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
    inner: tuple[str, ...] = ()
    behind: re.Pattern[str] = BEHIND
    xml: bool = False
    single: bool = False
    description: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """Texts that may be control tokens."""
        return tuple(mark for mark in (self.opening, self.closing, *self.inner) if mark)


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
GENERIC = replace(HERMES, name="generic", own=False)
QWEN_CODER = replace(  # and Qwen 3.5
    HERMES,
    name="qwen-coder",
    head=re.compile(r"\s*<function=(?P<name>[^>\n]+)>\n?"),
    start="\n<function=%s>\n",
    end="</function>\n</tool_call>",
    xml=True,
)
PHI = replace(
    HERMES,
    name="phi",
    opening="<|tool_call|>",
    closing="<|/tool_call|>",
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
MISTRAL_ARGS = replace(  # since version 11 of Mistral's tokenizer
    MISTRAL,
    head=re.compile(r"\s*(?P<name>[\w-]+)\s*(?:\[CALL_ID\]\w*\s*)?\[ARGS\]\s*(?=\{)"),
    start="%s[ARGS]",
    end="",
    between="[TOOL_CALLS]",
    listed=("", ""),
    inner=("[ARGS]", "[CALL_ID]"),
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


_CALLS, _CALLS_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL, _CALL_END, _SEPARATOR = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_MARKS = re.compile(f"(?:[\\s`]|{_CALL_END}|{_CALLS_END})*")
DEEPSEEK = CallFormat(  # V3 and R1
    name="deepseek",
    opening=_CALLS,
    closing="",
    head=re.compile(rf"{_CALL}\s*function\s*{_SEPARATOR}(?P<name>[^\n<]+)\n```json\n\s*(?=\{{)"),
    start=f"{_CALL}function{_SEPARATOR}%s\n```json\n",
    end=f"\n```{_CALL_END}",
    between="\n",
    trigger=re.compile(_CALLS.encode()),
    listed=("", _CALLS_END),
    inner=(_CALL, _CALL_END, _SEPARATOR, _CALLS_END),
    behind=_MARKS,
)
DEEPSEEK_31 = replace(  # since V3.1
    DEEPSEEK,
    head=re.compile(rf"{_CALL}(?P<name>[^\n<]+){_SEPARATOR}\s*(?=\{{)"),
    start=f"{_CALL}%s{_SEPARATOR}",
    end=_CALL_END,
    between="",
)
_DEEPSEEK_DESCRIPTION = f"""## Tools
You have access to the following tools:

%s

IMPORTANT: ALWAYS adhere to this exact format for tool use:
{_CALLS}{{call}}{{additional_tool_calls}}{_CALLS_END}

Where:
- `tool_call_name` must be an exact match to one of the available tools
- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema"""  # as DeepSeek puts it
HARMONY = CallFormat(  # gpt-oss; its answers are read by ``harmony``
    name="harmony",
    opening="<|channel|>commentary to=functions.",
    closing="",
    head=re.compile(r"to=functions\.(?P<name>[\w-]+)"),
    start="%s <|constrain|>json<|message|>",
    end="",
    between="",
    trigger=re.compile(rb" to=functions\."),
    inner=("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>", "<|call|>", "<|return|>"),
    single=True,
)


def format_of(template: str, *, takes_tools: bool) -> CallFormat:
    """The format that a chat template asks for.

    Args:
        template: Jinja2 text.
        takes_tools: Whether it writes the tools that it is given.
    """
    if "<|channel|>" in template and "<|start|>" in template and takes_tools:
        return HARMONY
    if _CALLS in template:
        form = DEEPSEEK if "```json" in template else DEEPSEEK_31
        if takes_tools:
            return form
        call = form.start % "tool_call_name" + "tool_call_arguments" + form.end
        description = _DEEPSEEK_DESCRIPTION.replace("{call}", call)
        return replace(form, own=False, description=description)
    if takes_tools and "[TOOL_CALLS]" in template:
        return MISTRAL_ARGS if "[ARGS]" in template else MISTRAL
    if takes_tools and "<tool_call>" in template and "<function=" in template and "<parameter=" in template:
        return QWEN_CODER
    if takes_tools and "<tool_call>" in template and "<function=" not in template:
        return HERMES
    if takes_tools and "<|tool_call|>" in template:
        return PHI
    if takes_tools and "<|start_header_id|>" in template and "parameters" in template:
        return LLAMA3
    return GENERIC
