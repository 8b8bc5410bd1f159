"""The table of what was tried and what survived."""

from __future__ import annotations

import json

import pytest
import survival_table

pytest_plugins = ["pytester"]

TESTS = """
import pytest

@pytest.mark.slow
def test_some_die(survival):
    survival.what = "kills"
    for n in range(5):
        with survival.case():
            assert n < 3

@pytest.mark.slow
def test_one(survival):
    survival.what = "kills"
    with survival.case(10):
        pass

@pytest.mark.soak
@pytest.mark.parametrize("n", [1, 2])
def test_that_does_not_count(n): pass

@pytest.mark.slow
def test_nothing_to_try(): pytest.skip("no such machine")

def test_short(): pass
"""


def test_what_tests_report_becomes_a_table(pytester):
    pytester.makeconftest("from survival import pytest_addoption, pytest_configure, survival")
    pytester.makeini("[pytest]\nmarkers =\n slow: s\n soak: s\n")
    pytester.makepyfile(TESTS)
    pytester.runpytest("-p", "no:cacheprovider", "--survival", "out.json").assert_outcomes(
        passed=4, failed=1, skipped=1
    )
    rows = survival_table.collected(json.loads((pytester.path / "out.json").read_text()))
    assert [(row["what"], row["tried"], row["survived"]) for row in rows] == [
        ("kills", 14, 13),
        ("that does not count", 2, 2),
        ("nothing to try", 0, 0),
    ]
    assert rows[2]["note"] == "Skipped: no such machine"
    lines = survival_table.table(rows).splitlines()
    assert lines[2].startswith("| kills | 14 | **13** |")
    assert lines[-1].startswith("| all | 16 | 15 |")


def test_the_table_is_written_between_its_marks():
    page = f"before\n{survival_table.BEGIN}\nold\n{survival_table.END}\nafter\n"
    written = survival_table.into_page(page, "| new |\n", "abc", "2026-01-02")
    assert written == page.replace("old\n", "2026-01-02, commit abc\n\n| new |\n")
    with pytest.raises(ValueError, match="has no"):
        survival_table.into_page("a page", "", "", "")
