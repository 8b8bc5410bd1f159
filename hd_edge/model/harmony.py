"""Reads answers of gpt-oss piece by piece: its channels as thoughts, text and calls (OpenAI's harmony format)."""

from __future__ import annotations

import re
import uuid
from typing import Any

from .text import up_to

CHANNEL, MESSAGE, START = "<|channel|>", "<|message|>", "<|start|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>", START, CHANNEL)  # of a message
CALLED = re.compile(r"to=functions\.([\w-]+)")
LONGEST_HEADER = 400  # characters

Delta = dict[str, Any]


class HarmonyParser:
    """As ``AnswerParser``, for answers in channels.

    Args:
        reasoning: Thoughts are told apart; else they stand in the text, within ``<think>``.

    Attributes:
        calls: How many were begun.
    """

    def __init__(self, *, reasoning: bool) -> None:
        self._reasoning = reasoning
        self._text = ""  # not told yet
        self._kind: str | None = None  # of the message under way: "thoughts", "call" or "text"; None: its header
        self.calls = 0

    def feed(self, text: str) -> list[Delta]:
        """What is certain with this piece of the answer."""
        self._text += text
        return self._run(ended=False)

    def end(self) -> list[Delta]:
        """The rest."""
        deltas = self._run(ended=True)
        return deltas + self._close()

    def _run(self, ended: bool) -> list[Delta]:
        deltas: list[Delta] = []
        while True:
            before = self._kind, self._text
            deltas += self._header(ended) if self._kind is None else self._body(ended)
            if (self._kind, self._text) == before:
                return deltas

    def _header(self, ended: bool) -> list[Delta]:
        """What stands before a message: who speaks to whom, and in which channel."""
        header, found, behind = self._text.partition(MESSAGE)
        if not found:
            start = self._text.lstrip()
            begun = any(mark.startswith(start[: len(mark)]) for mark in (CHANNEL, START, "to=", "assistant", *ENDS))
            if start and (not begun or len(start) > LONGEST_HEADER):
                self._kind = "text"  # no channel at all: an answer that a grammar holds may be so
            elif ended:
                self._text = ""
            return []
        self._text = behind
        name = CALLED.search(header)
        if name is not None:
            self._kind = "call"
            self.calls += 1
            call = {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
            return [self._call({**call, "function": {"name": name[1], "arguments": ""}})]
        self._kind = "thoughts" if "analysis" in header else "text"
        return [{"content": "<think>"}] if self._kind == "thoughts" and not self._reasoning else []

    def _body(self, ended: bool) -> list[Delta]:
        text, self._text, over = up_to(self._text, ENDS, ended)
        deltas = self._told(text)
        if over:
            for mark in ENDS[:3]:
                self._text = self._text.removeprefix(mark)
            deltas += self._close()
        return deltas

    def _close(self) -> list[Delta]:
        """The message is over."""
        thoughts, self._kind = self._kind == "thoughts", None
        return [{"content": "</think>\n"}] if thoughts and not self._reasoning else []

    def _told(self, text: str) -> list[Delta]:
        if not text:
            return []
        if self._kind == "call":
            return [self._call({"function": {"arguments": text}})]
        return [{"reasoning_content" if self._kind == "thoughts" and self._reasoning else "content": text}]

    def _call(self, call: Delta) -> Delta:
        return {"tool_calls": [{"index": self.calls - 1, **call}]}
