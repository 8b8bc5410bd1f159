"""Keywords put together at random: schemas, nonsense, and what lies between."""

from __future__ import annotations

import random
from typing import Any

KEYWORDS = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "$ref",
    "$defs",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedProperties",
    "unevaluatedItems",
    "definitions",
    "additionalItems",
    "nullable",
]
MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
INNER = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "additionalItems")
TYPES = ("string", "integer", "number", "object", "array", "null", "boolean", ["string", "null"], ["integer", "object"])
TEXTS = (
    "string",
    "a",
    "^a+$",
    "[a-z]{2,30}",
    "(?:a|b)*c",
    "date",
    "#",
    "#/properties/b",
    r"\d+\.\d{2}$",
    "(a",
    "\0",
    "é",
)
ODD = (0, 1, -3, 5.5, 1e300, -1e-300, 10**20, True, False, None, float("nan"), float("inf"))
REFERENCES = ("#", "#/$defs/a", "#/properties/a", "#/definitions/b", "#/items")


def wild(rng: random.Random, depth: int = 0) -> Any:
    """A schema, more or less."""
    if depth > 5:
        return rng.choice([True, False, {}])
    return {keyword: _value(rng, keyword, depth) for keyword in rng.sample(KEYWORDS, rng.randint(0, 4))}


def _value(rng: random.Random, keyword: str, depth: int) -> Any:
    if rng.random() < 0.15:
        return _nonsense(rng, depth)
    if keyword in MAPS:
        return {rng.choice(["a", "b", "c", "^x", 'q"', "\n"]): wild(rng, depth + 1) for _ in range(rng.randint(0, 3))}
    if keyword in LISTS:
        return [wild(rng, depth + 1) for _ in range(rng.randint(1, 3))]
    if keyword in INNER or keyword.startswith("unevaluated"):
        return rng.choice([False, wild(rng, depth + 1)])
    if keyword == "type":
        return rng.choice(TYPES)
    if keyword == "enum":
        return [rng.choice(["a", "b", 1, None, 1.0, True, [1], {"a": 1}]) for _ in range(rng.randint(1, 3))]
    if keyword == "required":
        return [rng.choice("abc") for _ in range(rng.randint(0, 2))]
    if keyword == "$ref":
        return rng.choice(REFERENCES)
    if keyword[:2] in ("mi", "ma", "ex", "mu"):
        return rng.choice([0, 1, 2, 3, 7, 20, 100, 0.5, -4])
    return _nonsense(rng, depth)


def _nonsense(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(TEXTS)
    if kind < 0.6:
        return rng.choice(ODD)
    return wild(rng, depth + 1) if kind < 0.8 or depth > 4 else [_nonsense(rng, depth + 1) for _ in range(2)]
