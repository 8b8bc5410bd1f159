"""``prediction`` of OpenAI's API (predicted outputs): text that the answer is expected to repeat."""

from __future__ import annotations

from typing import Any

from hd_edge.errors import ConfigError

_SHAPE = '{"type": "content", "content": "expected text"}'


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
