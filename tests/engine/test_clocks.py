"""Clocks stand, crawl and leap (a coarse timer, a laptop that slept): prices are wrong then, answers are not."""

import pytest
from children import printed


@pytest.mark.parametrize("kind", ["stands", "crawls", "leaps", "any"])
def test_answers_under_a_clock_that_goes_wrong(models, kind):
    assert printed("clock_child.py", models("Q4_0"), kind) == "same\n"
