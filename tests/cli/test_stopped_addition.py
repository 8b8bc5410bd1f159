"""Ctrl-C during an import or a merge: what is in the store is said."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from store_helpers import answer, contents

from hd_edge import _native
from hd_edge.cli import cli
from hd_edge.store.store import Store


@pytest.fixture
def store(identity, tmp_path):
    path = tmp_path / "one.sqlite3"
    with Store(path, identity) as opened:
        opened.add(dict(_native.AnswerCounter(identity.n_vocab).records(answer(1), 0)))
    return path


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("verb", ["import", "merge"])
def test_what_is_in_is_said(model, store, tmp_path, monkeypatch, verb, late):
    into = tmp_path / "into.sqlite3"
    export = tmp_path / "export.jsonl"
    db = ["db", "export", str(store), "-m", str(model), "-o", str(export)]
    assert CliRunner().invoke(cli, db).exit_code == 0
    adds = Store.add_together

    def stopped(self, batches):
        if late:
            adds(self, batches)
            raise KeyboardInterrupt
        adds(self, stopping(batches))

    def stopping(batches):
        yield from batches
        raise KeyboardInterrupt

    arguments = {"import": [into, export, "-m", model], "merge": [into, store]}[verb]
    for times in (1, 2):
        with monkeypatch.context() as patch:
            patch.setattr(Store, "add_together", stopped)
            done = CliRunner().invoke(cli, ["db", verb, *map(str, arguments)])
        assert done.exit_code == 1  # click's own, of an Abort
        assert f"stopped: {'all' if late else 'nothing'} of it is in {into}" in done.stderr
        with Store(store, read_only=True) as one, Store(into, read_only=True) as both:
            wanted = {key: {t: times * n for t, n in found.items()} for key, found in contents(one).items()}
            assert contents(both) == (wanted if late else {})
