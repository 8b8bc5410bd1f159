"""Where JSON schemas come from: the form of an answer, the parameters of tools; as grammars, or refused in words."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import Any

from llama_cpp import LlamaGrammar
from llama_cpp.llama_grammar import JSON_GBNF

from hd_edge.errors import ConfigError, at_most

from .json_schema.work import MOST_STEPS, Work
from .json_schema.writer import grammar_of, takes_object, text_grammar_of

FORMATS = ("text", "json_object", "json_schema")
MOST_BYTES = 256 * 1024  # of a schema
MOST_STEPS_OF_TOOLS = 2 * MOST_STEPS  # one more tool may be begun

NOTHING = 'root ::= "{}"'  # arguments of a function without parameters

log = logging.getLogger("hd_edge")


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


def tool_grammar(function: dict[str, Any], param: str) -> str:
    """GBNF of the arguments of a function. As in OpenAI's API, only ``"strict": true`` promises all of its schema.

    Args:
        function: Without ``parameters`` it takes none.
        param: Where in a request it stands.

    Raises:
        ConfigError: As ``schema_grammar``; a keyword that cannot be held is an error of strict functions only.
    """
    return _of_tool(function, param)[0] if function.get("parameters") else NOTHING


def schema_grammar(schema: Any, param: str, *, loose: bool = False, without: str | None = None) -> str:
    """GBNF of a JSON schema, whose first rule is ``root``.

    Args:
        schema: The schema.
        param: Where in a request it stands.
        loose: Keywords that cannot be held are left out, and logged.
        without: The grammar is of texts as they are, not of JSON, that hold no such pattern.

    Raises:
        ConfigError: It is too large, no schema, or has a keyword that cannot be held.
    """
    return _grammar(schema, param, loose, without, False)[0]


def _of_tool(function: dict[str, Any], param: str) -> tuple[str, int]:
    """The grammar of a function's parameters, of which there are some, and the steps of work that it took."""
    return _grammar(function["parameters"], f"{param}.parameters", function.get("strict") is not True, None, True)


def _grammar(schema: Any, param: str, loose: bool, without: str | None, of_object: bool) -> tuple[str, int]:
    """The grammar, where asked for of objects alone, and the steps of work that it took."""
    try:
        at_most("bytes", _least_bytes(schema), MOST_BYTES)
        text = json.dumps(schema)
    except ConfigError as error:
        msg = f"{param}: {error}"
        raise ConfigError(msg, param) from error
    except (RecursionError, TypeError, ValueError) as error:
        msg = f"{param}: a JSON schema cannot be written as JSON: {type(error).__name__}: {error}"
        raise ConfigError(msg, param) from error
    try:
        at_most("bytes", len(text), MOST_BYTES)
        grammar, notes, steps = _converted(text, loose, without, of_object)
    except ConfigError as error:
        msg = f"{param}: {error}"
        if not str(error).startswith("the JSON schema has"):
            msg = f"{param}: the JSON schema cannot be made a grammar: {error}"
        raise ConfigError(msg, param) from error
    except RecursionError as error:
        msg = f"{param}: the JSON schema has too many schemas in schemas: make it smaller"
        raise ConfigError(msg, param) from error
    for note in notes:
        log.warning("%s: not held, and left to the model: %s", param, note)
    return grammar, steps


def _least_bytes(schema: Any) -> int:
    """What it takes as JSON at least, counted as far as is allowed: parts that are shared are written each time."""
    left, count = [schema], 0
    while left and count <= MOST_BYTES:
        item = left.pop()
        count += 1 + (len(item) if isinstance(item, str) else 0)
        if isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, (list, tuple)):
            left.extend(item)
    return count


@lru_cache(maxsize=64)
def _converted(schema: str, loose: bool, without: str | None, of_object: bool) -> tuple[str, list[str], int]:
    """Assistants send the same tools with every request."""
    work = Work()
    if without is not None:
        grammar, notes = text_grammar_of(json.loads(schema), without, loose=loose, work=work)
    else:
        grammar, notes = grammar_of(json.loads(schema), loose=loose, of_object=of_object, work=work)
    return grammar, notes, work.spent


def check_schemas(tools: Any, functions: Any) -> None:
    """Checks every schema that a chat completion may make a grammar of.

    Raises:
        ConfigError: One cannot be made a grammar, the message names the place; or all together are too large.
    """
    steps = 0
    for place, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict):
            steps += _check(tool.get("function"), f"tools[{place}].function", steps)
    for place, function in enumerate(functions if isinstance(functions, list) else ()):
        steps += _check(function, f"functions[{place}]", steps)


def _check(function: Any, param: str, before: int) -> int:
    """The steps of work that a function's schema takes, behind those before it."""
    if not isinstance(function, dict) or not (schema := function.get("parameters")):
        return 0
    at_most("steps of work in the schemas of its tools", before, MOST_STEPS_OF_TOOLS, "the request")
    steps = _of_tool(function, param)[1]
    if not _takes_object(json.dumps(schema)):
        msg = f"{param}.parameters is {str(schema)[:60]}, expected a JSON schema of an object, whose members they are"
        raise ConfigError(msg, f"{param}.parameters")
    return steps


@lru_cache(maxsize=64)
def _takes_object(schema: str) -> bool:
    return takes_object(json.loads(schema))
