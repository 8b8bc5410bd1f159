"""Whatever is drawn from the grammar of a schema fits it, and values that fit it are texts of the grammar."""

from __future__ import annotations

import json
import random

import jsonschema
from grammar_walk import drawn, takes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemas import SCHEMAS

from hd_edge.model.json_schema.writer import grammar_of

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=120, **QUIET)
@given(case=SCHEMAS, seed=st.integers(0, 2**32))
def test_texts_fit_the_schema_and_values_that_fit_are_texts(case, seed):
    grammar, notes = grammar_of(case.schema)
    assert notes == []
    rng = random.Random(seed)
    validator = jsonschema.Draft202012Validator(case.schema)
    for _ in range(3):
        text = drawn(grammar, rng)
        if text is not None:
            validator.validate(json.loads(text))
        value = case.make(rng)
        validator.validate(value)
        spelled = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        assert takes(grammar, spelled), spelled
