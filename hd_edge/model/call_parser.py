"""Reads an answer piece by piece: thoughts, text, and calls of tools, as OpenAI's API tells them apart."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .call_format import GENERIC, CallFormat
from .text import up_to
from .xml_arguments import xml_call

OPEN, CLOSE = "<think>", "</think>"
MOST_BEFORE_NAME = 64  # characters of a bare call before it has to be known as one

Delta = dict[str, Any]


class AnswerParser:
    """Gives the deltas of a message as far as the text is known.

    Args:
        form: How calls are written; None: nothing is a call.
        reasoning: Thoughts are told apart.
        thinking: The answer begins within thoughts.
        schemas: Parameters of functions by name, where arguments are no JSON.

    Attributes:
        calls: How many were begun.
    """

    def __init__(
        self,
        form: CallFormat | None,
        *,
        reasoning: bool = False,
        thinking: bool = False,
        schemas: Mapping[str, Any] | None = None,
    ) -> None:
        self._reads_calls, self._form = form is not None, form or GENERIC
        self._schemas = schemas or {}
        self._text = ""  # not told yet
        self._trims = reasoning and thinking  # white space that comes next is none of the text
        self._state: Callable[[bool], list[Delta]] = self._start
        if reasoning:
            self._state = self._thoughts if thinking else self._beginning
        self._scan = Scanner()
        self.calls = 0

    def feed(self, text: str) -> list[Delta]:
        """What is certain with this piece of the answer."""
        self._text += text
        return self._run(ended=False)

    def end(self) -> list[Delta]:
        """The rest."""
        return self._run(ended=True)

    def _run(self, ended: bool) -> list[Delta]:
        deltas: list[Delta] = []
        while True:
            before = (self._state, self._text)
            deltas += self._state(ended)
            if (self._state, self._text) == before:
                return deltas

    # -- states: each takes what it can off the text, and says where to go on -------------------------------------

    def _beginning(self, ended: bool) -> list[Delta]:
        start = self._text.lstrip()
        if start.startswith(OPEN):
            self._text, self._state, self._trims = start[len(OPEN) :], self._thoughts, True
        elif ended or not OPEN.startswith(start):
            self._state = self._start
        return []

    def _thoughts(self, ended: bool) -> list[Delta]:
        thought = self._trimmed(CLOSE, ended, self._start)
        return [{"reasoning_content": thought}] if thought else []

    def _start(self, ended: bool) -> list[Delta]:
        """Where an answer that is a bare call gives itself away."""
        bare, text = self._form.bare if self._reads_calls else None, self._text.lstrip()
        if bare is not None and bare.match(text):
            self._state = self._call
        elif bare is None or ended or (text and not text.startswith("{")) or len(text) > MOST_BEFORE_NAME:
            self._state = self._content
        return []

    def _content(self, ended: bool) -> list[Delta]:
        if self._reads_calls:
            return self._tell(self._trimmed(self._form.opening, ended, self._call))
        text, self._text = self._text, ""
        return self._tell(self._leading(text))

    def _call(self, ended: bool) -> list[Delta]:
        form = self._form
        head = None if form.xml else form.head.search(self._text)
        close = self._text.find(form.closing) if form.closing else -1
        if head is not None and not 0 <= close < head.end():
            self._text, self._state, self._scan = self._text[head.end() :], self._arguments, Scanner()
            return [self._begun(_unescaped(head["name"]))]
        if close >= 0 or ended:
            end = close + len(form.closing) if close >= 0 else len(self._text)
            region, self._text = self._text[:end], self._text[end:]
            self._state = self._content
            return self._whole(region.removesuffix(form.closing) if form.closing else region, region)
        return []

    def _arguments(self, ended: bool) -> list[Delta]:
        length, complete = self._scan.feed(self._text)
        text, self._text = self._text[:length], self._text[length:]
        if complete:
            self._state = self._behind
        elif ended:
            self._state = self._content
        return [self._delta({"function": {"arguments": text}})] if text else []

    def _behind(self, ended: bool) -> list[Delta]:
        """Between two calls, or at the end of them."""
        form = self._form
        if not form.closing:
            self._state = self._call
            if ended:
                self._text = ""
            return []
        _, found = self._up_to(form.closing, ended)
        if found or ended:
            self._state, self._trims = self._content, True
        return []

    # -- parts ----------------------------------------------------------------------------------------------------

    def _up_to(self, mark: str, ended: bool) -> tuple[str, bool]:
        """Takes the text before a mark, and the mark; without one all that cannot be its beginning."""
        text, rest, found = up_to(self._text, (mark,), ended)
        self._text = rest.removeprefix(mark) if found else rest
        return text, found

    def _trimmed(self, mark: str, ended: bool, behind: Callable[[bool], list[Delta]]) -> str:
        """The text before a mark, without white space around it; without the mark, what is certain of it."""
        text, found = self._up_to(mark, ended)
        text = self._leading(text)
        if found:
            self._state, self._trims = behind, True
            return text.rstrip()
        if not ended:
            kept = text[len(text.rstrip()) :]
            text, self._text = text[: len(text) - len(kept)], kept + self._text
        return text

    def _leading(self, text: str) -> str:
        text = text.lstrip() if self._trims else text
        self._trims = self._trims and not text
        return text

    def _tell(self, text: str) -> list[Delta]:
        return [{"content": text}] if text else []

    def _begun(self, name: str, arguments: str = "") -> Delta:
        self.calls += 1
        call = {"id": _new_id(self._form), "type": "function", "function": {"name": name, "arguments": arguments}}
        return self._delta(call)

    def _delta(self, call: dict[str, Any]) -> Delta:
        return {"tool_calls": [{"index": self.calls - 1, **call}]}

    def _whole(self, region: str, said: str) -> list[Delta]:
        """A call with its keys in another order, without arguments, or in XML; text that is none stays text."""
        if self._form.xml:
            found = xml_call(region, self._form.head, self._schemas)
            return self._tell(self._form.opening + said) if found is None else [self._begun(*found)]
        try:
            found, _ = json.JSONDecoder(strict=False).raw_decode(region[region.find("{") :])
            name, arguments = found["name"], found.get("arguments", found.get("parameters", {}))
        except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
            name, arguments = None, None
        if not isinstance(name, str):
            if self.calls and self._form.behind.fullmatch(region):
                return []
            return self._tell(said if self._form.bare or self.calls else self._form.opening + said)
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return [self._begun(name, text)]


class Scanner:
    """Finds the end of a JSON object that comes in pieces."""

    def __init__(self) -> None:
        self._depth, self._in_string, self._escaped = 0, False, False

    def feed(self, text: str) -> tuple[int, bool]:
        """How many of these characters belong to it, and whether it ends there."""
        for place, character in enumerate(text):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"':
                    self._in_string = False
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return place + 1, True
        return len(text), False


def _unescaped(name: str) -> str:
    try:
        return str(json.loads(f'"{name}"', strict=False))
    except ValueError:
        return name


def _new_id(form: CallFormat) -> str:
    """Mistral's templates ask for nine letters or digits."""
    token = uuid.uuid4().hex
    return token[:9] if form.name == "mistral" else f"call_{token[:24]}"
