"""A filter that makes exceptions of warnings: what is found on the way costs no answer and leaves nothing half done."""

import sqlite3
import warnings
from contextlib import closing

import pytest
from store_helpers import IDENTITY, answer, rows_of

from hd_edge.config import CLOSE_WAIT
from hd_edge.errors import StoreCorruptError, StoreWarning
from hd_edge.store.open_stores import file_id, open_stores
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.store.telling import tell
from hd_edge.tiers.model import ModelTier


@pytest.fixture
def shown(monkeypatch):
    """Warnings that were shown, though every one is an exception."""
    texts = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_, **__: texts.append(str(message)))
        yield texts


def deleted(path, _):
    path.unlink()


def replaced(path, _):
    with Store(path.with_name("other"), IDENTITY) as other:
        other.add(rows_of(answer(7)))
    path.with_name("other").replace(path)


def damaged(path, tier):
    tier.safe._damage = StoreCorruptError(f"store {path} is damaged")


@pytest.mark.parametrize("trouble", [deleted, replaced, damaged])
def test_what_a_file_loses_while_in_use_is_shown_and_another_one_begins(filled_store, shown, trouble):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    trouble(filled_store, tier)
    tier.learn(answer(20), 0)
    tier.flush()
    assert len(shown) == 1
    assert tier.store.file.in_place()
    tier.learn(answer(21), 0)
    tier.close()
    with Store(filled_store, IDENTITY) as store:
        assert store.counters()["answers"] == 2 + (trouble is replaced)


def test_a_lock_is_shown_and_its_answers_wait(filled_store, shown, monkeypatch):
    monkeypatch.setattr("hd_edge.store.file.set_timeout", lambda *_: None)
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    with closing(sqlite3.connect(filled_store, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        for seed in range(4):
            tier.learn(answer(seed), 0)
            tier.flush()
        tier.flush(CLOSE_WAIT)
        assert len(shown) == 2
    tier.close()
    with Store(filled_store, IDENTITY) as store:
        assert store.counters()["answers"] == 3 + 4


def test_a_store_that_cannot_be_read_any_more_is_closed_and_shown(filled_store, shown, monkeypatch):
    monkeypatch.setattr("hd_edge.tiers.model.PRELOADED", -1)
    tier = ModelTier(SafeStore(filled_store, IDENTITY, learn=False))
    tier.store.file._db.conn.close()
    assert tier.fetch([1, 2]) == 0
    assert len(shown) == 1
    assert tier.store is None


def test_a_store_that_cannot_be_opened_raises_and_leaves_nothing_open(filled_store, shown):
    filled_store.write_bytes(filled_store.read_bytes()[:1024])
    damaged = file_id(filled_store)
    with pytest.raises(StoreWarning, match="damaged"):
        SafeStore(filled_store, IDENTITY)
    assert damaged not in open_stores
    with closing(SafeStore(filled_store, IDENTITY)) as safe:  # the new one, in place of the damaged one
        assert safe.learning
    assert shown == []


def test_a_way_to_show_warnings_that_raises_is_logged(monkeypatch, caplog):
    def broken(*_, **__):
        raise OSError

    monkeypatch.setattr(warnings, "showwarning", broken)
    for action in ("error", "always"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            monkeypatch.setattr(warnings, "showwarning", broken)
            tell("a store is gone", StoreWarning)
        assert "a store is gone" in caplog.text
        caplog.clear()
