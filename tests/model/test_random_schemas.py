"""Whatever is drawn from the grammar of a schema fits it, and values that fit it are texts of the grammar."""

from __future__ import annotations

import json
import random
import re

import jsonschema
from grammar_walk import drawn, takes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemas import SCHEMAS, Case

from hd_edge.model.json_schema.writer import grammar_of

SPACES = r"\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"  # ECMA-262's; Python's are others


def ecma_pattern(validator, pattern, instance, schema):
    """The keyword ``pattern`` of a validator, where \\S stands in no brackets."""
    if isinstance(instance, str) and not re.search(pattern.replace(r"\S", f"[^{SPACES}]"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": ecma_pattern})
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=120, **QUIET)
@example(case=Case({"type": "string", "pattern": r"^\S+@\S+$"}, lambda rng: "\x1c@\x85"), seed=1)
@given(case=SCHEMAS, seed=st.integers(0, 2**32))
def test_texts_fit_the_schema_and_values_that_fit_are_texts(case, seed):
    grammar, notes = grammar_of(case.schema)
    assert notes == []
    rng = random.Random(seed)
    validator = Validator(case.schema)
    for _ in range(3):
        text = drawn(grammar, rng)
        if text is not None:
            validator.validate(json.loads(text))
        value = case.make(rng)
        validator.validate(value)
        spelled = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        assert takes(grammar, spelled), spelled
