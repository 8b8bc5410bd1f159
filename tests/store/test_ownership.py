"""Whose file is it? What lacks our application id is never renamed, written, replaced or created over."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from children import python
from foreign_files import FOREIGN, live_wal, snapshot
from store_helpers import IDENTITY, answer, asides, rows_of, run_sql, use

from hd_edge import Llama
from hd_edge.errors import StoreError, StoreWarning
from hd_edge.store.store import Store

SETTINGS = {"n_ctx": 256, "n_threads": 1, "n_threads_batch": 1}


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("argument", ["store", "statistics"])
def test_constructor_refuses_a_foreign_file_and_leaves_it(models, tmp_path, make, learn, argument):
    folder = tmp_path / "mine"
    folder.mkdir()
    path = folder / "notes.db"
    make(path)
    before = snapshot(folder)
    with pytest.raises(StoreError, match=r"notes\.db"):
        Llama(str(models("Q4_0")), **{"store": None, "statistics": None, argument: path}, learn=learn, **SETTINGS)
    assert snapshot(folder) == before


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_store_refuses_a_foreign_file_and_leaves_it(tmp_path, make, read_only):
    path = tmp_path / "notes.db"
    make(path)
    before = snapshot(tmp_path)
    for identity in (IDENTITY, None):
        with pytest.raises(StoreError, match=r"notes\.db"):
            Store(path, identity, read_only=read_only)
    assert snapshot(tmp_path) == before


def test_live_database_of_another_program_stays_with_it(tmp_path):
    path = tmp_path / "contacts.db"
    live_wal(path)
    with pytest.raises(StoreError):
        Store(path, IDENTITY)
    live_wal.owner.execute("INSERT INTO notes VALUES ('later')")
    live_wal.owner.close()
    assert sqlite3.connect(path).execute("SELECT text FROM notes").fetchall() == [("mine",), ("later",)]


LOCKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError:
    sys.exit(3)
"""


@pytest.mark.parametrize("ours", [True, False])
def test_looking_at_a_file_takes_no_lock_from_those_who_have_it_open(tmp_path, ours):
    # POSIX locks belong to the process and fall when it closes any descriptor of the file.
    path = tmp_path / "shared.db"
    if ours:
        Store(path, IDENTITY).close()
        holder = Store(path, IDENTITY)
        connection = holder.file._db.conn
    else:
        run_sql(path, "CREATE TABLE notes (text)")
        connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        Store(path, IDENTITY).close()
    except StoreError:
        assert not ours
    assert python("-c", LOCKS, path).returncode == 3
    connection.execute("ROLLBACK")


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("exists", [True, False])
def test_file_that_sqlite_would_take_for_a_journal_is_not_deleted(tmp_path, suffix, exists):
    # SQLite plays what stands beside a database into it, and deletes it.
    path = tmp_path / "bullet"
    if exists:
        Store(path, IDENTITY).close()
    side = tmp_path / ("bullet" + suffix)
    side.write_text("dear diary, " * 100)
    before = snapshot(tmp_path)
    for read_only in (True, False):
        with pytest.raises(StoreError):
            Store(path, IDENTITY, read_only=read_only)
    with suppress(StoreError):
        use(path)
    assert snapshot(tmp_path) == before


def test_store_appears_as_a_whole_or_not_at_all(store_path, tmp_path, monkeypatch):

    def fail(*_):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr("hd_edge.store.store.create_tables", fail)
    with pytest.raises(StoreError, match="disk full"):
        Store(store_path, IDENTITY)
    assert list(tmp_path.iterdir()) == []


def test_foreign_file_that_appears_while_a_store_is_made_wins(store_path, tmp_path, monkeypatch):
    link = os.link

    def late(source, target):
        store_path.write_text("mine")
        link(source, target)

    monkeypatch.setattr("os.link", late)
    with pytest.raises(StoreError):
        Store(store_path, IDENTITY)
    assert snapshot(tmp_path).keys() == {"model.sqlite3"}
    assert store_path.read_text() == "mine"


def test_file_system_without_hard_links_will_do(store_path, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    with Store(store_path, IDENTITY) as store:
        store.add(rows_of(answer(1)))
    assert list(tmp_path.iterdir()) == [store_path]


def test_symlink_to_a_store_is_followed_and_stays(tmp_path):
    target, path = tmp_path / "real" / "model.sqlite3", tmp_path / "link.sqlite3"
    target.parent.mkdir()
    path.symlink_to(target)
    with Store(path, IDENTITY) as store:
        store.add(rows_of(answer(1)))
    assert path.is_symlink()
    with Store(target) as store:
        assert store.counters() == {"answers": 1}
    target.write_bytes(target.read_bytes()[:5000])
    assert len(use(path)) == 1
    assert path.is_symlink()
    assert len(asides(target)) == 1


@pytest.mark.parametrize("what", ["notes", "store beside a diary"])
def test_what_a_link_at_the_default_path_leads_to_is_left_alone(models, tmp_path, monkeypatch, what):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path / "home"))
    Llama(str(models("Q4_0")), **SETTINGS).close()
    (path,) = tmp_path.glob("home/models/*.sqlite3")
    path.unlink()
    (tmp_path / "mine").mkdir()
    there = tmp_path / "mine" / "there"
    if what == "notes":
        there.write_text("precious" * 50)
    else:
        Llama(str(models("Q4_0")), **SETTINGS).close()
        path.rename(there)
        there.with_name("there-journal").write_text("my diary" * 50)
    path.symlink_to(there)
    before = snapshot(there.parent)
    with pytest.warns(StoreWarning, match="going on without this store"):
        Llama(str(models("Q4_0")), **SETTINGS).close()
    assert snapshot(there.parent) == before
    assert path.is_symlink()


def test_database_of_ours_in_wal_mode_is_left_alone(filled_store):
    connection = sqlite3.connect(filled_store, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("INSERT INTO built VALUES (1)")
    before = snapshot(filled_store.parent)
    with pytest.raises(StoreError, match="WAL"):
        Store(filled_store, IDENTITY)
    assert len(use(filled_store)) == 1
    assert snapshot(filled_store.parent) == before
    connection.close()
    before = snapshot(filled_store.parent)
    with pytest.raises(StoreError, match="WAL"):
        Store(filled_store, IDENTITY)
    assert snapshot(filled_store.parent) == before


def test_damaged_store_of_ours_is_moved_only_where_we_learn(filled_store):
    filled_store.write_bytes(filled_store.read_bytes()[:5000])
    before = snapshot(filled_store.parent)
    assert len(use(filled_store, learn=False)) == 1
    assert snapshot(filled_store.parent) == before
    filled_store.chmod(0o400)
    before = snapshot(filled_store.parent)
    assert len(use(filled_store)) == 1  # its owner protected it
    assert snapshot(filled_store.parent) == before
    filled_store.chmod(0o600)
    assert len(use(filled_store)) == 1
    (aside,) = asides(filled_store)
    assert aside.stat().st_size == 5000


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_root_moves_no_file_of_another_user(filled_store):
    filled_store.write_bytes(filled_store.read_bytes()[:5000])
    os.chown(filled_store, 12345, 12345)
    before = snapshot(filled_store.parent)
    assert len(use(filled_store)) == 1
    assert snapshot(filled_store.parent) == before


def test_sound_store_that_is_write_protected_is_only_read(filled_store):
    filled_store.chmod(0o400)
    before = snapshot(filled_store.parent)
    (said,) = use(filled_store)
    assert "nothing is learned" in said
    assert snapshot(filled_store.parent) == before


@pytest.mark.parametrize("content", [b"garbage" * 999, b"", bytes(4096)])
def test_default_path_is_ours_whatever_stands_there(models, tmp_path, monkeypatch, content):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path))
    Llama(str(models("Q4_0")), **SETTINGS).close()
    (path,) = tmp_path.glob("models/*.sqlite3")
    path.write_bytes(content)
    before = snapshot(tmp_path)
    with pytest.warns(UserWarning, match="without"):
        Llama(str(models("Q4_0")), learn=False, **SETTINGS).close()
    assert snapshot(tmp_path) == before
    with pytest.warns(UserWarning, match="moved to") as told:
        Llama(str(models("Q4_0")), **SETTINGS).close()
    assert not any("left alone" in str(warning.message) for warning in told)
    (aside,) = asides(path)
    assert aside.read_bytes() == content
    Store(path).close()


def test_two_threads_make_one_store(store_path, tmp_path):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(use, [store_path] * 4))
    with Store(store_path) as store:
        assert store.counters()["answers"] == 12
    assert list(tmp_path.iterdir()) == [store_path]
