"""What happens around a store's file while it is used: locks, full disks, rights, other programs."""

import os
import sqlite3
import warnings

import numpy as np
import pytest
from store_helpers import IDENTITY, N_VOCAB, OTHER_TOKENIZER, answer, rows_of, use

from hd_edge.errors import StoreError, StoreWarning
from hd_edge.store.safety import open_model_store
from hd_edge.store.store import Store
from hd_edge.tiers import ModelTier


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: os.mkfifo(p), lambda p: p.symlink_to(p)])
def test_what_is_no_regular_file_is_refused_at_once(store_path, make):
    make(store_path)
    with pytest.raises(StoreError):
        Store(store_path, IDENTITY)
    assert len(use(store_path)) == 1
    assert os.path.lexists(store_path)


def test_home_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert len(use(tmp_path / "file" / "model.sqlite3")) == 1


def test_locked_file_costs_learning_not_answers(filled_store, monkeypatch):
    monkeypatch.setattr("hd_edge.store.file.WRITE_TIMEOUT", 0.02)
    monkeypatch.setattr("hd_edge.store.file.READ_TIMEOUT", 0.02)
    monkeypatch.setattr("hd_edge.store.schema.WRITE_TIMEOUT", 0.02)
    blocker = sqlite3.connect(filled_store, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    assert len(use(filled_store)) == 1
    blocker.execute("ROLLBACK")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tier = ModelTier(open_model_store(filled_store, IDENTITY), N_VOCAB)
    blocker.execute("BEGIN EXCLUSIVE")
    tier.learn(answer(20), 0)
    with pytest.warns(StoreWarning, match="kept for the next flush"):
        tier.flush()
    blocker.execute("ROLLBACK")
    blocker.close()
    tier.close()
    with Store(filled_store, IDENTITY) as store:
        assert store.counters()["answers"] == 4


def test_full_disk_keeps_what_was_written(filled_store):
    with Store(filled_store, IDENTITY) as store:
        before = dict(store.scan())
        pages = store.file._db.conn.execute("PRAGMA page_count").fetchone()[0]
        store.file._db.conn.execute(f"PRAGMA max_page_count={pages}")
        tier = ModelTier(store, N_VOCAB)
        tier.learn(np.arange(N_VOCAB, dtype=np.int32), 0)
        with pytest.warns(StoreWarning, match="full"):
            tier.flush()
        tier.flush()  # says nothing twice
        assert dict(store.scan()) == before
        assert tier.fetch([next(iter(before))]) == 1
        store.file._db.conn.execute(f"PRAGMA max_page_count={pages * 10}")
        tier.flush()  # there is room again
        assert len(store) > len(before)


def test_write_protected_file_is_read_only(filled_store):
    with Store(filled_store, IDENTITY) as store:
        store.file._db.conn.execute("PRAGMA query_only=ON")
        tier = ModelTier(store, N_VOCAB)
        tier.learn(answer(3), 0)
        with pytest.warns(StoreWarning, match="readonly"):
            tier.flush()
        assert tier.fetch(list(rows_of(answer(1)))[:2]) == 2
        assert tier.hits == 2


def test_read_only_use_changes_no_byte(filled_store):
    before = filled_store.read_bytes()
    assert use(filled_store, learn=False) == []
    assert filled_store.read_bytes() == before


@pytest.mark.parametrize("swap", ["delete", "replace", "overwrite", "truncate"])
def test_file_that_goes_away_while_open(filled_store, tmp_path, swap):
    tier = ModelTier(open_model_store(filled_store, IDENTITY), N_VOCAB)
    tier.fetch(list(rows_of(answer(1)))[:4])
    if swap == "delete":
        filled_store.unlink()
    elif swap == "replace":
        other = tmp_path / "other.sqlite3"
        Store(other, OTHER_TOKENIZER).close()
        other.replace(filled_store)
    elif swap == "overwrite":
        filled_store.write_bytes(b"garbage" * 1000)
    else:
        os.truncate(filled_store, 4096)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(4):
            tier.fetch(list(rows_of(answer(seed)))[4:8])
            tier.learn(answer(seed), 0)
            tier.flush()
        tier.close()
    assert 1 <= len(caught) <= 2
    assert all(issubclass(w.category, StoreWarning) for w in caught)
