"""``prediction`` of OpenAI's API (predicted outputs): text that the answer is expected to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hd_edge.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHAPE = '{"type": "content", "content": "expected text"}'


@dataclass(frozen=True)
class Hints:
    """What a call says about the answer that is about to be generated.

    Attributes:
        prediction: Token ids of text that the answer is expected to repeat; None: nothing is expected.
        messages: The conversation that it answers, texts alone; None: it continues a text.
        limit: Most tokens that will be read of it; 0: nobody knows.
    """

    prediction: NDArray[np.int32] | None = None
    messages: list[dict[str, str]] | None = None
    limit: int = 0


def message_texts(messages: Any) -> list[dict[str, str]] | None:
    """Roles and texts of a conversation; None where it has none, as one that is no list of messages."""
    texts = []
    for message in messages if isinstance(messages, (list, tuple)) else ():
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return None
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        found = [part.get("text") for part in parts if isinstance(part, dict)]
        texts.append({"role": message["role"], "content": "".join(text for text in found if isinstance(text, str))})
    return texts or None


def prediction_text(prediction: Any) -> str:
    """The expected text of a ``prediction`` argument.

    Args:
        prediction: ``{"type": "content", "content": text}``, where ``text`` may also be a list of
            ``{"type": "text", "text": ...}`` parts, as OpenAI allows.

    Raises:
        ConfigError: Anything else.
    """
    if not isinstance(prediction, dict):
        msg = f"prediction is of type {type(prediction).__name__}, expected a dict: {_SHAPE}"
        raise ConfigError(msg)
    if prediction.get("type") != "content":
        msg = f"prediction has type {prediction.get('type')!r}, expected 'content': {_SHAPE}"
        raise ConfigError(msg)
    if unknown := sorted(map(str, prediction.keys() - {"type", "content"})):
        msg = f"prediction has an unknown key {unknown[0]!r}, expected 'type' and 'content': {_SHAPE}"
        raise ConfigError(msg)
    content = prediction.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part_text(part) for part in content)
    msg = f"prediction has content of type {type(content).__name__}, expected str or a list of text parts: {_SHAPE}"
    raise ConfigError(msg)


def _part_text(part: Any) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    msg = f'prediction has the part {str(part)[:60]}, expected {{"type": "text", "text": "..."}}'
    raise ConfigError(msg)
