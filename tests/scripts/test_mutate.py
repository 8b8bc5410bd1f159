"""The mutations of scripts/tools/mutate.py still fit the code: each place that they break is there, once."""

from __future__ import annotations

import mutate
import pytest


@pytest.mark.parametrize("mutation", mutate.MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_has_its_place(mutation):
    assert (mutate.ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    assert mutation.new != mutation.old


def test_the_suites_that_shall_notice_are_there():
    assert all((mutate.ROOT / "tests" / name).is_file() for name in mutate.TESTS)
