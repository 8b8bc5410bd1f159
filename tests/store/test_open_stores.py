"""SQLite's locks fall when their process closes any descriptor of the file: nobody here does so while one is open."""

import os
import threading

import pytest
from children import run_code

from hd_edge.errors import ConfigError, StoreCorruptError, StoreForeignError
from hd_edge.prefix import disk as disk_module
from hd_edge.prefix.disk import Disk
from hd_edge.prefix.index import Index
from hd_edge.store.open_stores import OpenStores, file_id, open_stores
from hd_edge.store.output import figures_mark, write
from hd_edge.store.ownership import check_ours
from hd_edge.store.transfer import export_file

WRITES = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN EXCLUSIVE')"


def test_a_thread_that_looks_at_a_file_leaves_the_locks_of_one_that_opens_it(tmp_path, monkeypatch):
    path = tmp_path / "index.sqlite3"
    Index(path).close()
    refused = []

    def check(self, db):  # in the middle of opening
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        looking = threading.Thread(target=lambda: check_ours(self.path, str(path), 0x68644550))
        looking.start()
        looking.join()
        refused.append(run_code(WRITES, path).stderr.splitlines()[-1:])
        db.execute("ROLLBACK")

    monkeypatch.setattr(Index, "_check", check)
    Index(path).close()
    assert refused == [["sqlite3.OperationalError: database is locked"]]
    assert run_code(WRITES, path).returncode == 0
    assert file_id(path) not in open_stores


def test_an_opening_that_fails_is_forgotten(tmp_path, monkeypatch):
    path = tmp_path / "index.sqlite3"
    Index(path).close()

    def check(self, db):
        assert file_id(path) in open_stores
        raise ValueError

    monkeypatch.setattr(Index, "_check", check)
    with pytest.raises(ValueError, match=r"^$"):
        Index(path)
    assert file_id(path) not in open_stores
    assert open_stores.start(path, 6) == b"SQLite"


def test_an_open_store_is_no_output_and_no_export(tmp_path):
    path = tmp_path / "index.sqlite3"
    index = Index(path)
    with index.file.standing_still():
        with pytest.raises(ConfigError):
            write(path, b"{}", figures_mark("bench"))
        with pytest.raises(StoreForeignError), export_file(path):
            pass
        assert "locked" in run_code(WRITES, path).stderr
    index.close()


def test_as_often_as_it_is_open(tmp_path):
    stores, path = OpenStores(), tmp_path / "file"
    path.write_bytes(b"some bytes")
    for _ in range(2):
        stores.add(file_id(path))
    stores.remove(file_id(path))
    assert stores.start(path, 4) is None
    stores.remove(file_id(path))
    assert stores.start(path, 4) == b"some"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_no_store_open(tmp_path):
    path = tmp_path / "index.sqlite3"
    index = Index(path)
    if (child := os.fork()) == 0:
        free = open_stores.start(path, 6) == b"SQLite"
        index.close()  # never its own
        own = Index(path)
        counted = file_id(path) in open_stores
        own.close()
        os._exit(0 if free and counted and file_id(path) not in open_stores else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert file_id(path) in open_stores
    index.close()
    assert file_id(path) not in open_stores


def test_two_threads_open_one_index(tmp_path, monkeypatch):
    opened, second = [], threading.Event()
    really = disk_module.open_index

    def open_index(folder, wait):
        opened.append(threading.current_thread())
        if len(opened) == 2:
            second.set()
        second.wait(0.5)  # as long as another thread may take to come here, too
        return really(folder, wait)

    monkeypatch.setattr(disk_module, "open_index", open_index)
    Index(tmp_path / "index.sqlite3").close()
    disk = Disk(tmp_path, b"f" * 32)
    threads = [threading.Thread(target=disk.rates) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    disk.close()
    assert len(opened) == 1


def test_a_saver_that_is_late_tells_nothing(tmp_path):
    disk = Disk(tmp_path, b"f" * 32)
    Index(tmp_path / "index.sqlite3").close()
    index = disk._opened()
    disk.close()
    disk._ask(lambda _: index.rates(b"f" * 32), None)  # there is no index any more
    assert disk.trouble == ""


def test_an_index_that_is_sound_at_the_second_look_stays(tmp_path, monkeypatch):
    path, looks = tmp_path / "index.sqlite3", []
    Index(path).close()
    inode = path.stat().st_ino

    def check(self, db):
        looks.append(db)
        if len(looks) == 1:
            raise StoreCorruptError

    monkeypatch.setattr(Index, "_check", check)
    disk_module.open_index(tmp_path).close()
    assert (len(looks), path.stat().st_ino) == (2, inode)
