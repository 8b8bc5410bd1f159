"""A model's chat template with tools: what it writes of them, and what has to be written for it.

The chat handlers of ``llama_cpp`` are asked for their prompts, so that every chat format it knows can be used. What a
template makes of tools, of calls and of a system's text is found out by looking for marks in what it writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llama_cpp import llama_chat_format

from hd_edge.errors import ConfigError

from .call_format import GENERIC, HARMONY, CallFormat, format_of
from .messages import called
from .template_refusals import misled, refusal

MARK = "qzxmark"
TOOL = {
    "type": "function",
    "function": {"name": MARK, "description": "d", "parameters": {"type": "object", "properties": {}}},
}
CALL = {"id": "qzx000001", "type": "function", "function": {"name": MARK, "arguments": {MARK + "a": 1}}}
USER = {"role": "user", "content": "u"}
PROMPT_WRITER = "chat_formatter_to_chat_completion_handler."
DESCRIPTION = """You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
%s
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""  # as Qwen's and Hermes' templates put it


@dataclass(frozen=True)
class Prompt:
    """A conversation as a model is asked with it.

    Attributes:
        tokens: Token ids.
        text: The same.
        settings: What the chat format asks of the completion: stop texts, stopping criteria, sampling.
        thinking: It ends within thoughts.
    """

    tokens: list[int]
    text: str
    settings: dict[str, Any]
    thinking: bool


class ChatTemplate:
    """The template of one model.

    Args:
        llama: ``llama_cpp.Llama`` or ``hd_edge.Llama``; only read.

    Raises:
        ConfigError: There is no chat format of that name.
    """

    def __init__(self, llama: Any) -> None:
        formats, chosen = llama._chat_handlers, llama.chat_format
        if chosen == "chat_template.default" and "chat_template.tool_use" in formats:
            chosen = "chat_template.tool_use"
        try:
            known = llama.chat_handler or formats.get(chosen)
            self._handler = known or llama_chat_format.get_chat_completion_handler(chosen)
        except (llama_chat_format.LlamaChatCompletionHandlerNotFoundException, TypeError) as error:
            msg = f"chat_format={chosen!r} is the name of no chat format that this model or llama_cpp has"
            raise ConfigError(msg) from error
        self.writes_prompts = getattr(self._handler, "__qualname__", "").startswith(PROMPT_WRITER)
        name = "tokenizer." + chosen.replace(".default", "") if chosen else ""
        self.text: str = llama.metadata.get(name, "") if chosen and chosen.startswith("chat_template.") else ""

    @property
    def thinks(self) -> bool:
        """It was made for a model that may begin with thoughts."""
        return "<think>" in self.text

    @cached_property
    def form(self) -> CallFormat:
        """How the model writes calls."""
        return format_of(self.text, takes_tools=MARK in self._try([USER], [TOOL]))

    @property
    def in_channels(self) -> bool:
        """Answers come in channels, as gpt-oss writes them."""
        return "<|channel|>" in self.text and self.form is HARMONY

    @cached_property
    def _arguments_as_text(self) -> bool:
        asked = {"role": "assistant", "content": "", "tool_calls": [CALL]}
        written = self._try([USER, asked]).replace("\\", "")
        return f'"{MARK}a"' not in written and f"={MARK}a>" not in written

    @cached_property
    def _takes_calls(self) -> bool:
        asked = called({"role": "assistant", "content": "", "tool_calls": [CALL]}, as_text=self._arguments_as_text)
        answered = {"role": "tool", "tool_call_id": CALL["id"], "name": MARK, "content": MARK + "b"}
        written = self._try([USER, asked, answered])
        return MARK + "b" in written and MARK + "a" in written

    @cached_property
    def takes_parallel(self) -> bool:
        """Whether a message may call several tools; Llama 3's templates refuse that."""
        asked = called(
            {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]}, as_text=self._arguments_as_text
        )
        return not self.form.single and (not self._takes_calls or bool(self._try([USER, asked])))

    @cached_property
    def _takes_system(self) -> bool:
        return MARK in self._try([{"role": "system", "content": MARK}, USER])

    def prompt(
        self,
        llama: Any,
        messages: list[dict[str, Any]],
        tools: list[Any] | None,
        settings: dict[str, Any],
        variables: dict[str, Any] | None = None,
    ) -> Prompt:
        """Writes a conversation.

        Args:
            llama: The model.
            messages: In plain form.
            tools: OpenAI's.
            settings: For the completion, and for the template.
            variables: More of them, for the template alone.

        Raises:
            ConfigError: The template refuses the conversation, or the variables.
        """
        variables = variables or {}
        if tools and not self.form.own:
            messages, tools = _described(messages, tools, self.form), None
        calls = any(message.get("tool_calls") or message["role"] == "tool" for message in messages)
        several = any(len(message.get("tool_calls") or ()) > 1 for message in messages)
        if calls and not (self.form is not GENERIC and self._takes_calls and (self.takes_parallel or not several)):
            messages = _as_text(messages)
        else:
            messages = [called(message, as_text=self._arguments_as_text) for message in messages]
            messages = _short_ids(messages) if self.form.name == "mistral" and calls else messages
        if messages and messages[0]["role"] == "system" and not self._takes_system:
            messages = _without_system(messages)
        try:
            caught = self._write(messages, tools, {**variables, **settings})
        except Exception as error:  # a template may fail with anything
            if variables and self._try(messages, tools):
                raise misled(variables, error) from error
            raise refusal(len(messages), error) from error
        text = caught.text.decode("utf-8")
        thinking = text.rstrip().endswith("<think>")
        llama.check_size(len(caught.text))  # the template adds to each message, however short
        tokens = llama.tokenize(caught.text, add_bos=caught.add_bos, special=True)
        return Prompt(tokens, text, caught.settings, thinking)

    def _try(self, messages: list[dict[str, Any]], tools: list[Any] | None = None) -> str:
        try:
            return self._write(messages, tools, {}).text.decode("utf-8", "replace")
        except Exception:  # a template may fail with anything: it does not take this
            return ""

    def _write(self, messages: list[dict[str, Any]], tools: list[Any] | None, settings: dict[str, Any]) -> _Catcher:
        catcher = _Catcher()
        self._handler(llama=catcher, messages=messages, tools=tools, **settings)
        return catcher


class _Catcher:
    """Stands for the model while a chat handler writes its prompt."""

    verbose = False

    def __init__(self) -> None:
        self.text, self.add_bos = b"", True
        self.settings: dict[str, Any] = {}

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:  # noqa: ARG002
        self.text, self.add_bos = text, add_bos
        return []

    def create_completion(self, **settings: Any) -> dict[str, Any]:
        self.settings = settings
        choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
        return {"id": "", "object": "text_completion", "created": 0, "model": "", "choices": [choice], "usage": {}}


def _described(messages: list[dict[str, Any]], tools: list[Any], form: CallFormat) -> list[dict[str, Any]]:
    """The tools as a part of the system's text."""
    text = (form.description or DESCRIPTION) % "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    if messages and messages[0]["role"] == "system":
        first, *rest = messages
        return [{**first, "content": f"{first['content']}\n\n{text}".strip()}, *rest]
    return [{"role": "system", "content": text}, *messages]


def _as_text(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls and what they gave as text of the assistant and the user, for a template that knows neither."""
    plain: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            text = f"<tool_response>\n{message['content']}\n</tool_response>"
            if plain and plain[-1].get("responses"):
                plain[-1]["content"] += f"\n{text}"
            else:
                plain.append({"role": "user", "content": text, "responses": True})
            continue
        text = message["content"]
        for call in called(message, as_text=False).get("tool_calls", ()):
            function = {"name": call["function"].get("name"), "arguments": call["function"]["arguments"]}
            text += f"\n<tool_call>\n{json.dumps(function, ensure_ascii=False)}\n</tool_call>"
        plain.append({"role": message["role"], "content": text.lstrip("\n") if "tool_calls" in message else text})
    return plain


def _short_ids(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ids of nine letters or digits, as Mistral's templates ask for; those of other servers are longer."""

    def short(text: Any) -> str:
        return "".join(character for character in str(text) if character.isalnum())[-9:].rjust(9, "0")

    shortened = []
    for message in messages:
        calls = [{**call, "id": short(call.get("id", ""))} for call in message.get("tool_calls", ())]
        own: dict[str, Any] = {"tool_calls": calls} if calls else {}
        own |= {"tool_call_id": short(message["tool_call_id"])} if message.get("tool_call_id") else {}
        shortened.append({**message, **own})
    return shortened


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The system's text at the beginning of what the user says first."""
    system, *rest = messages
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": system["content"]}, *rest]
    return [{**rest[0], "content": f"{system['content']}\n\n{rest[0]['content']}"}, *rest[1:]]
