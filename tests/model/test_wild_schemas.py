"""Whatever is sent as a schema: a grammar of texts that fit it, or a ConfigError."""

from __future__ import annotations

import json
import random

import jsonschema
import pytest
from grammar_walk import drawn
from wild_schemas import wild

from hd_edge import ConfigError
from hd_edge.backend.gbnf import parse
from hd_edge.model.json_schema.writer import grammar_of

SCHEMAS = 150


@pytest.mark.parametrize("seed", range(5))
def test_a_grammar_or_an_error_in_words(seed):
    rng, held, checked = random.Random(seed), 0, 0
    for _ in range(SCHEMAS):
        schema = wild(rng)
        try:
            parse(grammar_of(schema, loose=True)[0], "root", lambda _: -1)
            grammar = grammar_of(schema)[0]
        except ConfigError as error:
            assert len(str(error)) > 20
            continue
        held += 1
        if jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA).is_valid(schema):
            checked += _fits(schema, grammar, rng)
    assert held > SCHEMAS / 10
    assert checked > SCHEMAS / 20


def _fits(schema, grammar: str, rng: random.Random) -> bool:
    validator = jsonschema.Draft202012Validator(schema)
    for _ in range(2):
        text = drawn(grammar, rng, patience=40, longest=600)
        if text is not None:
            validator.validate(json.loads(text))
    return True
