"""Arguments of calls written as elements, as Qwen3-Coder writes them: texts as they are, all else as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .call_grammar import literal, prefixed
from .json_schema.rules import SHARED

PARAMETER = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
EMPTY = '""'
END = "</p"  # no text holds the end of an element, or what looks like it


def xml_grammar(function: Mapping[str, Any], param: str, grammar: Callable[..., str]) -> str:
    """GBNF of a function's arguments, whose first rule is ``root``.

    Args:
        function: With ``parameters``.
        param: Where in a request it stands.
        grammar: ``schema_grammar``.

    Raises:
        ConfigError: As ``grammar`` does.
    """
    parameters = function.get("parameters") or {}
    properties, required = parameters.get("properties") or {}, parameters.get("required") or []
    shared = {key: parameters[key] for key in ("$defs", "definitions") if key in parameters}
    rules, parts = [], []
    for place, (name, schema) in enumerate(properties.items()):
        whole = {**shared, **schema} if isinstance(schema, dict) else schema
        kind: dict[str, Any] = {"without": END} if _is_text(schema) else {}
        where = f"{param}.parameters.properties.{name}"
        text = grammar(whole, where, loose=function.get("strict") is not True, **kind)
        rules.append(prefixed(text, f"p{place}-", SHARED))
        open_, close = literal(f"<parameter={name}>\n"), literal("\n</parameter>\n")
        parts.append(f"({open_} p{place}-root {close})" + ("" if name in required else "?"))
    lines = "\n".join(rules).split("\n")
    return "\n".join([f"root ::= {' '.join(parts) or EMPTY}", *dict.fromkeys(lines)])


def xml_call(text: str, head: re.Pattern[str], schemas: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and arguments (JSON) of a call; None: it is none.

    Args:
        text: What stands in the element of the call.
        head: Its beginning, with the name.
        schemas: Parameters of functions by name.
    """
    found = head.match(text)
    if found is None:
        return None
    name = found["name"].strip()
    properties = (schemas.get(name) or {}).get("properties") or {}
    arguments = {key: _value(value, properties.get(key)) for key, value in PARAMETER.findall(text, found.end())}
    return name, json.dumps(arguments, ensure_ascii=False)


def _value(text: str, schema: Any) -> Any:
    """A text where the schema asks for one, or nothing; else what its JSON says, if it is JSON."""
    if isinstance(schema, dict) and schema and _is_text(schema):
        return None if text == "null" and _is_text(schema, "null") else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_text(schema: Any, name: str = "string") -> bool:
    """A text (or a value of another type) would fit: what stands there is not in quotes."""
    if not isinstance(schema, dict) or _words(schema) is not None:
        return name == "string"
    kinds = schema.get("type")
    if kinds is not None:
        return name in ([kinds] if isinstance(kinds, str) else kinds)
    parts = [part for keyword in ("anyOf", "oneOf") for part in schema.get(keyword, ())]
    told = {"$ref", "enum", "const", "allOf", "properties", "items"} & schema.keys()
    return any(_is_text(part, name) for part in parts) if parts else not told


def _words(schema: Any) -> list[str] | None:
    """The texts that a schema lists, if it lists nothing else."""
    if not isinstance(schema, dict):
        return None
    words = [schema["const"]] if "const" in schema else schema.get("enum")
    return words if isinstance(words, list) and words and all(isinstance(word, str) for word in words) else None
