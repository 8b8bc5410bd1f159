"""The index finds the piece that shares most tokens."""

import tempfile
from pathlib import Path

from fake_state import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from hd_edge.prefix.disk import open_index
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
