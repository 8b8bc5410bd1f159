"""What happens around a store's file while it is used: locks, full disks, rights, other programs."""

import os
import sqlite3
import warnings
from contextlib import closing

import numpy as np
import pytest
from store_helpers import IDENTITY, N_VOCAB, OTHER_TOKENIZER, answer, rows_of, use

from hd_edge.config import CLOSE_WAIT
from hd_edge.errors import StoreError, StoreWarning
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.tiers.model import MAX_PENDING, ModelTier


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: os.mkfifo(p), lambda p: p.symlink_to(p)])
def test_what_is_no_regular_file_is_refused_at_once(store_path, make):
    make(store_path)
    with pytest.raises(StoreError):
        Store(store_path, IDENTITY)
    assert len(use(store_path, default=True)) == 1
    assert os.path.lexists(store_path)


def test_home_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert len(use(tmp_path / "file" / "model.sqlite3")) == 1


def test_a_path_of_very_many_folders_is_refused(tmp_path):
    path = tmp_path.joinpath(*["y"] * 1500, "model.sqlite3")
    with pytest.raises(StoreError, match="so many folders"):
        Store(path, IDENTITY)
    assert len(use(path)) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def blocker(filled_store):
    """Another program, such as a database browser with an open edit."""
    with closing(sqlite3.connect(filled_store, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def waits(monkeypatch):
    """Seconds that SQLite was told to wait for, in order; it waits none of them."""
    told = []
    monkeypatch.setattr("hd_edge.store.connection.OPEN_TIMEOUT", 0)
    monkeypatch.setattr("hd_edge.store.file.set_timeout", lambda _, seconds: told.append(seconds))
    return told


def learn(tier, seed):
    tier.learn(answer(seed), 0)
    tier.flush()


def test_store_that_is_locked_when_it_is_opened_costs_learning_not_answers(filled_store, blocker, monkeypatch):
    monkeypatch.setattr("hd_edge.store.connection.OPEN_TIMEOUT", 0)
    blocker.execute("BEGIN EXCLUSIVE")
    assert len(use(filled_store)) == 1


def test_answers_wait_shortly_for_a_lock_and_are_learned_after_it(filled_store, blocker, waits):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    blocker.execute("BEGIN IMMEDIATE")
    waits.clear()
    learn(tier, 20)
    learn(tier, 21)
    assert max(waits) < 0.1  # and nothing was worth a warning yet
    with pytest.warns(StoreWarning, match="kept for the next flush"):
        learn(tier, 22)
    learn(tier, 23)
    blocker.execute("ROLLBACK")
    learn(tier, 24)
    assert tier.store.counters()["answers"] == 3 + 5
    blocker.execute("BEGIN IMMEDIATE")
    tier.learn(answer(25), 0)
    with pytest.warns(StoreWarning, match="is lost"):  # nothing can wait any longer
        tier.close()
    assert max(waits) >= 10


def test_lock_right_behind_a_write_loses_nothing(filled_store, blocker, waits, monkeypatch):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    write = ModelTier._write

    def write_and_lock(tier, store):
        write(tier, store)
        blocker.execute("BEGIN EXCLUSIVE")

    monkeypatch.setattr(ModelTier, "_write", write_and_lock)
    tier.learn(answer(20), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tier.flush(CLOSE_WAIT)
    assert tier.store.file.size() == filled_store.stat().st_size
    blocker.execute("ROLLBACK")
    assert tier.store.counters()["answers"] == 3 + 1


def test_lock_inside_a_step_is_waited_for_once_per_generation(filled_store, blocker, waits, monkeypatch):
    monkeypatch.setattr("hd_edge.tiers.model.PRELOADED", -1)
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    asked = []
    fetch = Store.fetch
    monkeypatch.setattr(Store, "fetch", lambda *arguments: asked.append(1) or fetch(*arguments))
    keys = list(rows_of(answer(1)))
    for _ in range(2):
        blocker.execute("BEGIN EXCLUSIVE")
        assert [tier.fetch(keys[:4]) for _ in range(5)] == [0] * 5
        assert len(asked) == 1
        blocker.execute("ROLLBACK")
        asked.clear()
        tier.flush()
        assert tier.fetch(keys[:4]) == 4  # the file is used again
        asked.clear()
    tier.close()


def test_answers_that_wait_for_a_lock_are_bounded(filled_store, blocker, waits):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.warns(StoreWarning, match="locked"):
        for seed in range(3 * MAX_PENDING):
            learn(tier, seed)
    blocker.execute("ROLLBACK")
    tier.close()
    with Store(filled_store, IDENTITY) as store:
        assert store.counters()["answers"] == 3 + MAX_PENDING


def test_full_disk_keeps_what_was_written(filled_store):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    before = dict(tier.store.scan())
    db = tier.store.file._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages}")
    tier.learn(np.arange(N_VOCAB, dtype=np.int32), 0)
    with pytest.warns(StoreWarning, match="full"):
        tier.flush()
    tier.flush()  # says nothing twice
    assert dict(tier.store.scan()) == before
    assert tier.fetch([next(iter(before))]) == 1
    db.execute(f"PRAGMA max_page_count={pages * 10}")
    tier.flush()  # there is room again
    assert len(tier.store) > len(before)
    tier.close()


def test_file_that_becomes_read_only_is_read_on(filled_store):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    tier.store.file._db.execute("PRAGMA query_only=ON")
    with pytest.warns(StoreWarning, match="readonly"):
        learn(tier, 3)
    assert tier.fetch(list(rows_of(answer(1)))[:2]) == 2
    assert tier.hits == 2
    tier.close()


def test_read_only_use_changes_no_byte(filled_store):
    before = filled_store.read_bytes()
    assert use(filled_store, learn=False) == []
    assert filled_store.read_bytes() == before


@pytest.mark.parametrize("swap", ["delete", "replace", "overwrite", "truncate"])
def test_file_that_goes_away_while_open(filled_store, tmp_path, swap):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
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
