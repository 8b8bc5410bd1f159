"""Schemas that clients send in fact: pydantic's, OpenAI's strict ones, those of zod and of MCP tools."""

from __future__ import annotations

import datetime
import json
import random
import uuid
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar

import jsonschema
import pytest
from grammar_walk import drawn, takes
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, ConfigDict, Field, conint, constr
from schema_grammar import grammar

from hd_edge.model.schema import tool_grammar

T = TypeVar("T")


class Color(str, Enum):
    RED = "red"
    QUOTED = 'a "quoted" one\\'


class Address(BaseModel):
    """Where somebody lives."""

    street: str = Field(description="with number")
    zip_code: constr(pattern=r"^\d{5}(-\d{4})?$", max_length=10)
    lines: list[constr(min_length=1, max_length=80)] = Field(default_factory=list, max_length=3)


class Person(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    age: conint(ge=0, lt=150)
    score: float = Field(0.5, ge=0, le=1)
    ratio: Annotated[float, Field(gt=0, multiple_of=0.5)] = 1
    born: datetime.date | None = None
    seen: datetime.datetime
    at: datetime.time | None = None
    took: datetime.timedelta | None = None
    id: uuid.UUID
    color: Color = Color.RED
    kind: Literal["a", 1, True] | None = "a"
    tags: dict[str, int] = Field(default_factory=dict)
    limits: dict[Literal["cpu", "gpu"], float] = Field(default_factory=dict)
    by_key: dict[constr(pattern="^[a-z]+$"), Any] = Field(default_factory=dict)
    pair: tuple[int, str] = (1, "a")
    many: tuple[int, ...] = ()
    flags: set[Literal["x", "y", "z"]] = Field(default_factory=set)
    home: Address | None = None
    others: list[Address] = Field(default_factory=list, min_length=1)
    anything: Any = None
    raw: bytes = b""


class Node(BaseModel):
    value: int
    children: list[Node] = Field(default_factory=list)
    parent: Node | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["dog"]
    name: str


class Owner(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    either: Cat | Dog | int


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: int | None = None


class Free(BaseModel):
    model_config = ConfigDict(extra="allow", title="Free\nform")

    name: str = Field(alias='na"me\\')


class Steps(BaseModel):
    class Step(BaseModel):
        explanation: str
        output: str

    steps: list[Step]
    final_answer: str


MODELS = [Address, Person, Node, Owner, Page[Address], Page[int], Free, Steps]
STRICT = [Address, Node, Page[Address], Steps, Cat]

ZOD = {  # zod-to-json-schema of an object with most of zod's types
    "$ref": "#/definitions/mySchema",
    "definitions": {
        "mySchema": {
            "type": "object",
            "properties": {
                "myString": {"type": "string", "minLength": 5},
                "myUnion": {"type": ["number", "boolean"]},
                "email": {"type": "string", "format": "email"},
                "url": {"type": "string", "format": "uri"},
                "int": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991},
                "nullable": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "record": {"type": "object", "additionalProperties": {"type": "number"}},
                "tuple": {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "items": [{"type": "string"}, {"type": "number"}],
                },
                "literal": {"type": "string", "const": "a"},
                "enum": {"type": "string", "enum": ["a", "b"]},
                "any": {},
                "never": {"not": {}},
                "intersection": {
                    "allOf": [
                        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                        {"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]},
                    ]
                },
                "self": {"$ref": "#/definitions/mySchema/properties/record"},
            },
            "required": ["myString", "myUnion", "int", "nullable", "tuple", "literal", "intersection"],
            "additionalProperties": False,
        }
    },
    "$schema": "http://json-schema.org/draft-07/schema#",
}
MCP = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "The path"},
        "edits": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"oldText": {"type": "string"}, "newText": {"type": "string"}},
                "required": ["oldText", "newText"],
                "additionalProperties": False,
            },
        },
        "head": {"type": ["integer", "null"], "minimum": 1, "maximum": 100000},
        "dryRun": {"type": "boolean", "default": False},
    },
    "required": ["path", "edits"],
    "additionalProperties": False,
    "$schema": "http://json-schema.org/draft-07/schema#",
}
NOTHING = {"type": "object", "properties": {}}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_classes_of_pydantic(model, mode):
    schema = model.model_json_schema(mode=mode)
    held = grammar(schema)
    rng, found = random.Random(1), 0
    for _ in range(10):
        text = drawn(held, rng, longest=20_000)
        if text is not None:
            found += 1
            jsonschema.validate(json.loads(text), schema)
            assert model.model_validate_json(text)
    assert found


@pytest.mark.parametrize("model", STRICT, ids=lambda model: model.__name__)
def test_strict_schemas_of_openai(model):
    held = grammar(to_strict_json_schema(model))
    text = next(found for seed in range(20) if (found := drawn(held, random.Random(seed))))
    assert model.model_validate_json(text)


@pytest.mark.parametrize("schema", [ZOD, MCP, NOTHING], ids=["zod", "mcp", "nothing"])
def test_schemas_of_other_languages(schema):
    held = grammar(schema)
    assert tool_grammar({"name": "f", "parameters": schema, "strict": True}, "tools[0].function") == held
    validator = jsonschema.Draft7Validator(schema)
    texts = [text for seed in range(20) if (text := drawn(held, random.Random(seed)))]
    assert texts
    for text in texts:
        validator.validate(json.loads(text))
    assert takes(grammar(NOTHING), "{}")
