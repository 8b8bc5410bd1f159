"""JSON schemas as grammars, and what is refused before ``llama_cpp`` writes one.

``llama_cpp`` drops a schema that it cannot convert and takes any JSON instead. Its converter writes every repetition
out (``minItems: 10000000`` is a text of 100 MB), copies what is referred to, and recurses. So a schema is walked as the
converter walks it, with a budget for the text that it would write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from llama_cpp import LlamaGrammar
from llama_cpp.llama_grammar import JSON_GBNF, json_schema_to_gbnf

from hd_edge.errors import ConfigError

FORMATS = ("text", "json_object", "json_schema")
MOST_BYTES = 256 * 1024  # of a schema
MOST_NESTED = 64  # schemas in schemas, references followed
MOST_REPEATED = 2000  # minItems, maxLength, {m,n} of a pattern, ...
MOST_WRITTEN = 4_000_000  # characters of grammar, about
COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
TIMES = re.compile(r"\{\s*(\d*)\s*,?\s*(\d*)\s*\}")


def response_grammar(response_format: Any) -> LlamaGrammar | None:
    """The grammar of OpenAI's ``response_format``; None: any text.

    Raises:
        ConfigError: It has another shape, or its schema is too large or cannot be made a grammar.
    """
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind not in FORMATS:
        msg = (
            f"response_format is {str(response_format)[:60]}, expected a dict whose type is one of {', '.join(FORMATS)}"
        )
        raise ConfigError(msg, "response_format")
    if kind == "text":
        return None
    schema = response_format.get("schema")
    if kind == "json_schema":
        named = response_format.get("json_schema")
        schema = named.get("schema") if isinstance(named, dict) else None
        if schema is None:
            msg = 'response_format has no schema, expected {"type": "json_schema", "json_schema": {"schema": {...}}}'
            raise ConfigError(msg, "response_format")
    text = JSON_GBNF if schema is None else schema_grammar(schema, "response_format")
    return LlamaGrammar.from_string(text, verbose=False)


def schema_grammar(schema: Any, param: str) -> str:
    """GBNF of a JSON schema, whose first rule is ``root``.

    Args:
        schema: The schema.
        param: Where in a request it stands.

    Raises:
        ConfigError: It is too large, or ``llama_cpp``'s converter does not know what it says.
    """
    try:
        check_schema(schema)
        if isinstance(schema, dict) and "$ref" in schema:  # beside it the converter does not look into $defs
            schema = {**schema, "anyOf": [{"$ref": schema["$ref"]}]}
            del schema["$ref"]
        return str(json_schema_to_gbnf(json.dumps(schema)))
    except ConfigError as error:
        msg = f"{param}: {error}"
        raise ConfigError(msg, param) from error
    except Exception as error:  # the converter checks with assertions, or fails where a part is not what it expects
        why = f"{type(error).__name__}: {error}".rstrip(": ")[:200]
        msg = f"{param}: the JSON schema cannot be made a grammar ({why}); use the keywords that llama.cpp supports"
        raise ConfigError(msg, param) from error


def check_schemas(tools: Any, functions: Any) -> None:
    """Checks every schema that a chat completion may make a grammar of.

    Raises:
        ConfigError: One is too large; the message names the limit and the value.
    """
    for schema in _schemas(tools, functions):
        check_schema(schema)


def _schemas(tools: Any, functions: Any) -> Iterator[Any]:
    called = [tool.get("function") for tool in tools or [] if isinstance(tool, dict)]
    for function in [*called, *(functions or [])]:
        if isinstance(function, dict) and "parameters" in function:
            yield function["parameters"]


def check_schema(schema: Any) -> None:
    """Checks one schema.

    Raises:
        ConfigError: It is no JSON, or too large; the message names the limit and the value.
    """
    try:
        size = len(json.dumps(schema))
    except (RecursionError, TypeError, ValueError) as error:
        msg = f"a JSON schema cannot be written as JSON: {type(error).__name__}: {error}"
        raise ConfigError(msg) from error
    _at_most("bytes", size, MOST_BYTES)
    _Walk(schema).visit(schema, 0, 4)


class _Walk:
    """Follows a schema as the converter does, and counts what it would write."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._written = 0
        self._following: set[str] = set()

    def visit(self, node: Any, depth: int, name: int) -> None:
        """A (sub)schema, the depth it stands at, and the length of its rule's name."""
        _at_most("schemas in schemas", depth, MOST_NESTED)
        self._write(name + 16)
        if isinstance(node, list):
            for item in node:
                self.visit(item, depth + 1, name + 8)
        if not isinstance(node, dict):
            return
        reference = node.get("$ref")
        if isinstance(reference, str):
            self._follow(reference, depth)
            return
        for key in COUNTS:
            if isinstance(count := node.get(key), (int, float)):
                _at_most(f"as {key}", count, MOST_REPEATED)
                self._write(int(count) * (name + 16))
        if isinstance(pattern := node.get("pattern"), str):
            self._pattern(pattern, name)
        for key in ("enum", "const", "required"):
            if key in node:
                self._write(len(json.dumps(node[key])))
        properties = node.get("properties")
        if isinstance(properties, dict):  # every one that may be left out has rules for all that follow it
            self._write(len(properties) ** 2 * (name + 24))
        for key, value in node.items():
            if isinstance(value, dict) and key in ("properties", "$defs", "definitions"):
                for each, part in value.items():
                    self.visit(part, depth + 1, name + len(str(each)) + 1)
            elif isinstance(value, (dict, list)) and key not in ("enum", "const", "required", "examples", "default"):
                self.visit(value, depth + 1, name + 16)

    def _follow(self, reference: str, depth: int) -> None:
        if reference in self._following or not reference.startswith("#/"):
            return  # the converter writes a name for the one and refuses the other
        target = self._schema
        for key in reference.split("/")[1:]:
            target = target.get(key) if isinstance(target, dict) else None
        self._following.add(reference)
        self.visit(target, depth + 1, len(reference))
        self._following.remove(reference)

    def _pattern(self, pattern: str, name: int) -> None:
        self._write(len(pattern))
        for found in TIMES.finditer(pattern):
            numbers = [int(number) if len(number) < 9 else 10**9 for number in found.groups() if number]
            times = max(numbers, default=0)
            _at_most("repetitions in a pattern", times, MOST_REPEATED)
            self._write(times * (name + len(pattern)))

    def _write(self, characters: int) -> None:
        self._written += characters
        _at_most("characters of grammar to write", self._written, MOST_WRITTEN)


def _at_most(what: str, value: float, limit: int) -> None:
    if not value <= limit:  # not even NaN
        msg = f"the JSON schema has {value:.0f} {what}, at most {limit} are taken: make it smaller"
        raise ConfigError(msg)
