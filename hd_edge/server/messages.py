"""Chat messages as OpenAI's clients send them, as chat templates take them: every content is a text."""

from __future__ import annotations

from typing import Any

ROLES = ("system", "user", "assistant", "tool", "function")
SAME = {"developer": "system"}  # the newer name


def message(sent: Any) -> dict[str, Any]:
    """One message.

    Args:
        sent: ``role``, ``content`` (a text, a list of text parts, or nothing where an assistant called tools), and what
            else a template may read, such as ``tool_calls``.

    Raises:
        ValueError: What is wrong with it, for the client.
    """
    if not isinstance(sent, dict):
        msg = f"a message is an object with 'role' and 'content', not {type(sent).__name__}"
        raise ValueError(msg)
    role = SAME.get(str(sent.get("role")), sent.get("role"))
    if role not in ROLES:
        msg = f"role {role!r} is none of {', '.join((*ROLES, *SAME))}"
        raise ValueError(msg)
    content = sent.get("content")
    if content is None:
        if role != "assistant":
            msg = f"a message of role {role!r} has no content: a text, or a list of text parts"
            raise ValueError(msg)
        content = ""
    return {**sent, "role": role, "content": content if isinstance(content, str) else _joined(content)}


def _joined(parts: Any) -> str:
    texts = []
    for part in parts if isinstance(parts, list) else [parts]:
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        text = part.get("text") if kind in ("text", "input_text", "output_text") else None
        if not isinstance(text, str):
            msg = f"content has a part of type {kind!r}, this server takes text: {{'type': 'text', 'text': ...}}"
            raise ValueError(msg)
        texts.append(text)
    return "".join(texts)


def answer_form(sent: Any) -> Any:
    """``response_format`` as ``llama_cpp`` takes it: OpenAI's ``json_schema`` is an object with a schema there.

    Raises:
        ValueError: It has no schema.
    """
    if not isinstance(sent, dict) or sent.get("type") != "json_schema":
        return sent
    described = sent.get("json_schema")
    if not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
        msg = "a response_format of type 'json_schema' has {'json_schema': {'name': ..., 'schema': {...}}}"
        raise ValueError(msg)
    return {"type": "json_object", "schema": described["schema"]}


def tool_choice(sent: Any, tools: Any) -> Any:
    """``tool_choice`` as ``llama_cpp`` takes it: one tool that must be called is named.

    Raises:
        ValueError: A tool must be called, and there are none or several.
    """
    if sent != "required":
        return sent
    if not isinstance(tools, list) or len(tools) != 1:
        msg = f"tool_choice 'required' takes one tool, there are {len(tools or [])}: name the function to call"
        raise ValueError(msg)
    return {"type": "function", "function": {"name": tools[0]["function"]["name"]}}
