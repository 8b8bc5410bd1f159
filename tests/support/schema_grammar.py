"""What a test asks of a schema's grammar."""

from __future__ import annotations

import json

from grammar_walk import takes

from hd_edge.model.json_schema.writer import grammar_of


def grammar(schema) -> str:
    found, notes = grammar_of(schema)
    assert notes == []
    return found


def accepts(schema, *values) -> list[bool]:
    found = grammar(schema)
    return [takes(found, json.dumps(value, separators=(",", ":"), ensure_ascii=False)) for value in values]
