"""The index finds the piece that shares most tokens."""

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from fake_state import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from store_helpers import run_sql

from hd_edge.prefix.disk import INDEX, open_index
from hd_edge.prefix.pieces import Piece, common, pack

RUN = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@given(st.lists(RUN, max_size=12), RUN)
@settings(max_examples=60, deadline=None)
def test_the_index_finds_what_shares_most(stored, wanted):
    with tempfile.TemporaryDirectory() as folder:
        index = open_index(Path(folder))
        for tokens in stored:
            index.add(ROOT, Piece(ROOT, pack(tokens), 0), 8, 0.0)
        most = max((common(pack(tokens), pack(wanted)) for tokens in stored), default=0)
        found = index.find(ROOT, 0, pack(wanted))
        index.close()
    assert (found[1] if found else 0) == most


@pytest.mark.parametrize("size", ["'many'", "x'78'", "NULL || 1.5"])
def test_a_size_that_is_no_number_counts_as_none(tmp_path, size):
    with closing(open_index(tmp_path)) as index:
        for number in range(3):
            index.add(ROOT, Piece(ROOT, pack([number]), 0), 100, float(number))
    run_sql(tmp_path / INDEX, f"UPDATE pieces SET bytes = coalesce({size}, 1.5) WHERE used = 0")
    with closing(open_index(tmp_path)) as index:
        assert len(index.evict(150)) == 2
        assert len(index.names()) == 1
