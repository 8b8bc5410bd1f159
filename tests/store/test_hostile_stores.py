"""Forty stores made by somebody who means ill, or by a failing disk: typed errors, bounded work, nothing lost.

Whatever a file holds, reading it changes no byte of it, and learning leaves the file, a copy aside, or a sound store
that has what was learned. No case waits, so a hang or a loop shows as a test that takes far longer than its siblings.
"""

import json
import sqlite3

import pytest
from foreign_files import snapshot
from hostile_stores import HOSTILE, looked_at
from store_helpers import IDENTITY, answer, asides, rows_of, use

from hd_edge.errors import StoreError, StoreForeignError
from hd_edge.store.report import report
from hd_edge.store.store import Store


def refusal(look, path):
    """What is said of the file; empty: nothing."""
    try:
        look(path)
    except StoreError as error:
        return str(error)
    return ""


def test_there_are_forty():
    assert len(HOSTILE) == 40


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_hostile_store_costs_drafts_and_nothing_else(filled_store, make):
    try:
        make(filled_store)
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite cannot make the file: {error}")
    before = snapshot(filled_store.parent)
    original = filled_store.read_bytes()
    assert refusal(looked_at, filled_store).isprintable()
    assert refusal(lambda path: use(path, learn=False), filled_store).isprintable()
    json.dumps(report(filled_store))
    assert snapshot(filled_store.parent) == before
    try:
        said = use(filled_store)
    except StoreForeignError:
        assert snapshot(filled_store.parent) == before
        return
    assert all(text.isprintable() for text in said)
    moved = asides(filled_store)
    # Some damage is met only by the second write; what was learned before it is in the copy.
    assert [path.stat().st_size >= len(original) for path in moved] in ([], [True])
    if filled_store.read_bytes() != original:
        with Store(filled_store, IDENTITY) as store:
            learned = rows_of(answer(12), 5)
            assert all(store.fetch([key])[key] is not None for key in learned)
