"""Server-sent events of one stream."""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import Any

from .errors import dumps, in_one_line

CHUNK = ["id", "object", "created", "model", "choices"]
CHOICE = ["index", "delta", "logprobs", "finish_reason"]


def event(document: Any) -> bytes:
    """One event; None ends the stream."""
    data = b"[DONE]" if document is None else dumps(document)
    kind = document.get("type") if document is not None else None
    name = f"event: {kind}\n".encode() if kind else b""
    return name + b"data: " + data + b"\n\n"


class Events:
    """Chunks of a chat that have text alone differ in this text: the rest is written once."""

    def __init__(self) -> None:
        self._before = b""
        self._head: list[Any] = []  # of the chunks that begin so

    def of(self, chunk: dict[str, Any]) -> bytes:
        """The event of a chunk."""
        text = _text(chunk)
        if text is None:
            return event(chunk)
        head = [chunk[key] for key in CHUNK[:-1]]
        if head != self._head:
            self._head = head
            bare = dumps({key: chunk[key] for key in CHUNK[:-1]})
            self._before = b"data: " + bare[:-1] + b',"choices":[{"index":0,"delta":{"content":'
        data = in_one_line(encode_basestring(text))
        return self._before + data + b'},"logprobs":null,"finish_reason":null}]}\n\n'


def _text(chunk: dict[str, Any]) -> str | None:
    """The text of a chunk that has nothing else to tell."""
    if list(chunk) != CHUNK or len(chunk["choices"]) != 1:
        return None
    choice = chunk["choices"][0]
    if list(choice) != CHOICE or choice["index"] != 0 or list(choice["delta"]) != ["content"]:
        return None
    text = choice["delta"]["content"]
    plain = isinstance(text, str) and choice["logprobs"] is None and choice["finish_reason"] is None
    return text if plain else None
