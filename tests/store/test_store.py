"""Store: what is written is read, in one transaction, by the right model, from any thread and process."""

import os
import signal
import stat
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from store_helpers import (
    IDENTITY,
    OTHER_MODEL,
    OTHER_TOKENIZER,
    answer,
    contents,
    rows_of,
    run_sql,
)

from hd_edge.errors import StoreBusyError, StoreError, StoreMismatchError, StoreVersionError
from hd_edge.store.store import Store
from hd_edge.store.upkeep import prune, purge, verify


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.sqlite3"


def test_rows_come_back_after_reopening(path):
    rows = rows_of(answer(1))
    with Store(path, IDENTITY) as store:
        assert store.add(rows) == rows
    with Store(path) as store:
        assert store.identity == IDENTITY
        assert dict(store.scan()) == rows
        some = list(rows)[:3]
        assert store.fetch([*some, 299 << 32 | 299]) == {**{key: rows[key] for key in some}, 299 << 32 | 299: None}
        assert store.counters() == {"answers": 1}
        assert verify(store) == []


def test_counts_add_up(path):
    with Store(path, IDENTITY) as store:
        for seed in (1, 2, 1):
            store.add(rows_of(answer(seed, kinds=8)))
        once, twice = contents_of(1), contents_of(2)
        for context, followers in contents(store).items():
            for token, count in followers.items():
                expected = 2 * once.get(context, {}).get(token, 0) + twice.get(context, {}).get(token, 0)
                assert count == expected
        assert store.counters()["answers"] == 3


def contents_of(seed):
    with Store(None, IDENTITY) as store:
        store.add(rows_of(answer(seed, kinds=8)))
        return contents(store)


def test_file_is_private_and_in_rollback_mode(path):
    with Store(path, IDENTITY) as store:
        store.add(rows_of(answer(1)))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert store.file._db.conn.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert list(path.parent.iterdir()) == [path]


def test_other_tokenizer_of_the_same_size_is_refused(path):
    Store(path, IDENTITY).close()
    with pytest.raises(StoreMismatchError, match=r"aaaaaaaaaaaa.*cccccccccccc"):
        Store(path, OTHER_TOKENIZER)
    with pytest.raises(StoreMismatchError, match=r"test model.*other model"):
        Store(path, OTHER_MODEL)
    with pytest.raises(StoreMismatchError, match="statistics tier"):
        Store(path, IDENTITY, kind="statistics")


def test_statistics_serve_every_model_of_the_tokenizer(path):
    Store(path, IDENTITY, kind="statistics").close()
    Store(path, OTHER_MODEL, kind="statistics").close()
    with pytest.raises(StoreMismatchError):
        Store(path, OTHER_TOKENIZER, kind="statistics")


def test_newer_schema_is_refused_and_left_alone(path):
    Store(path, IDENTITY).close()
    run_sql(path, "PRAGMA user_version = 7")
    before = path.read_bytes()
    with pytest.raises(StoreVersionError, match=r"version 7.*up to 1"):
        Store(path, IDENTITY)
    assert path.read_bytes() == before


def test_read_only_store_creates_and_changes_nothing(path):
    with pytest.raises(StoreError):
        Store(path, IDENTITY, read_only=True)
    assert not path.exists()
    Store(path, IDENTITY).close()
    with Store(path, IDENTITY, read_only=True) as store, pytest.raises(StoreError, match="reading only"):
        store.add(rows_of(answer(1)))


def test_closed_store_says_so(path):
    store = Store(path, IDENTITY)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.fetch([1])


def test_failed_batch_leaves_nothing(path):
    with Store(path, IDENTITY) as store:
        good, bad = rows_of(answer(1)), rows_of(answer(2))
        bad[max(bad)] = b"\xff\xff"
        store.add(good)
        with pytest.raises(ValueError, match="record format"):
            store.add(bad)
        assert dict(store.scan()) == good
        assert store.counters() == {"answers": 1}


def test_locked_file_is_busy_and_waits_no_longer_than_told(path, monkeypatch):
    monkeypatch.setattr("hd_edge.store.file.WRITE_TIMEOUT", 0.05)
    with Store(path, IDENTITY) as store, Store(path, IDENTITY) as other:
        with other.file.writing() as db:
            db.execute("INSERT INTO built VALUES (1)")
            with pytest.raises(StoreBusyError, match="locked by another process"):
                store.add(rows_of(answer(1)))
        store.add(rows_of(answer(1)))


def test_threads_share_a_store(path):
    with Store(path, IDENTITY) as store:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(store.add, [rows_of(answer(seed)) for seed in range(8)]))
        assert store.counters()["answers"] == 8
    closed_elsewhere = Store(path, IDENTITY)
    thread = threading.Thread(target=closed_elsewhere.close)
    thread.start()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_after_fork_opens_its_own_connection(path):
    with Store(path, IDENTITY) as store:
        store.add(rows_of(answer(1)))
        parent = store.file._db
        child = os.fork()
        if child == 0:
            status = 1
            try:
                store.add(rows_of(answer(2)))
                status = 0 if store.file._db is not parent else 2
                store.close()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store.add(rows_of(answer(3)))
        assert store.counters()["answers"] == 3
        assert verify(store) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_is_not_held_up_by_a_thread_that_the_fork_left_behind(path):
    with Store(path, IDENTITY) as store:
        inside, done = threading.Event(), threading.Event()

        def hold():
            with store.file.reading():
                inside.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # forking with threads: Python 3.12 warns
            child = os.fork()
        if child == 0:
            signal.alarm(30)
            try:
                store.add(rows_of(answer(2)))
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        done.set()
        thread.join()
        assert os.waitstatus_to_exitcode(status) == 0
        assert store.counters()["answers"] == 1


def test_calibration_and_cost_are_kept_per_settings(path):
    with Store(path, IDENTITY) as store:
        assert store.load_calibration() is None
        assert store.load_cost("cpu") == []
        store.save_planner(b"older", "cpu", [(1, 0, 0.01, 5), (4, 0, 0.015, 2)])
        store.save_planner(b"older", "gpu", [(1, 0, 0.001, 1)])
        store.save_planner(b"\0state", "cpu", [(1, 0, 0.02, 6)])
    with Store(path, IDENTITY) as store:
        assert store.load_calibration() == b"\0state"
        assert store.load_cost("cpu") == [(1, 0, 0.02, 6)]
        assert store.load_cost("gpu") == [(1, 0, 0.001, 1)]


def test_pruning_keeps_the_cap_and_what_is_used(path):
    cap = 256 << 10
    with Store(path, IDENTITY, cap=cap) as store:
        often = rows_of(answer(0, 40))
        for seed in range(50):
            store.add(rows_of(answer(seed, 600)))
            store.add(often)
        assert store.file.size() > 2 * cap
        assert prune(store) > 0
        assert store.file.size() <= cap
        left = dict(store.scan())
        assert sum(key in left for key in often) > 0.9 * len(often)
        assert verify(store) == []
    assert path.stat().st_size <= cap
    with Store(path, IDENTITY) as store:
        assert dict(store.scan()) == left


def test_purge_leaves_no_trace_in_the_file(path):
    with Store(path, IDENTITY) as store:
        store.add({5 << 32 | 17: rows_of([4, 17, 18])[5 << 32 | 17]}, built=0x1234567890ABCDEF)
        store.add(rows_of(answer(1)))
        store.save_planner(b"state", "cpu", [])
        planted = rows_of([4, 17, 18])[5 << 32 | 17]
        assert planted in path.read_bytes()
        purge(store)
        assert len(store) == 0
        assert store.counters() == {}
        assert store.load_calibration() == b"state"
        assert not store.is_built(0x1234567890ABCDEF)
    assert planted not in path.read_bytes()
    assert all(record not in path.read_bytes() for record in rows_of(answer(1)).values() if len(record) > 12)


def test_store_in_memory_works_alike():
    with Store(None, IDENTITY) as store:
        store.add(rows_of(answer(1)))
        assert dict(store.scan()) == rows_of(answer(1))
        assert store.file.in_place()
        assert store.file.size() > 0


def test_without_identity_no_file_is_made(path):
    with pytest.raises(StoreError, match="No such file"):
        Store(path)
    assert not path.exists()


def test_unknown_kind_is_refused(path):
    with pytest.raises(StoreError, match="kind"):
        Store(path, IDENTITY, kind="context")


def test_an_interrupt_as_a_transaction_begins_leaves_none_open(path, monkeypatch):
    """A signal's handler may raise as soon as SQLite has the lock; who writes next must not wait for it."""
    rows = rows_of(answer(1))
    with Store(path, IDENTITY) as store, Store(path) as other:
        with store.file.reading() as db:
            execute = db.execute

            def interrupted(sql, *arguments):
                done = execute(sql, *arguments)
                if sql.startswith("BEGIN"):
                    raise KeyboardInterrupt
                return done

            monkeypatch.setattr(db, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.add(rows)
        monkeypatch.undo()
        other.add(rows)
        store.add(rows)
        assert store.counters() == {"answers": 2}
