"""Another process holds the index: that costs one short wait, then it counts as absent for a while."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from fake_state import PROMPT, ROOT, Conversation, again

from hd_edge.prefix import disk as disk_module
from hd_edge.prefix.disk import BUSY_REST, BUSY_WAIT, Disk
from hd_edge.prefix.pieces import pack


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(disk_module, "time", clock)
    return clock


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_one_wait_and_then_a_rest(filled, clock, monkeypatch, lock):
    waits = []
    connect = disk_module.open_index

    def opened(folder, wait=None):
        waits.append(wait)
        return connect(folder, 0.0)

    monkeypatch.setattr(disk_module, "open_index", opened)
    disk = Disk(filled, ROOT)
    with closing(sqlite3.connect(filled / "index.sqlite3", isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        for _ in range(5):
            disk.save_rates("model", 1.0, 1.0)
            assert disk.find(ROOT, 0, pack(PROMPT)) is None
        assert waits == [BUSY_WAIT]
        other.execute("ROLLBACK")
    assert disk.find(ROOT, 0, pack(PROMPT)) is None  # it rests
    clock.now += BUSY_REST
    assert disk.find(ROOT, 0, pack(PROMPT)) is not None
    assert disk.trouble == ""
    disk.close()


def test_writes_are_as_short(filled):
    disk = Disk(filled, ROOT)
    disk.rates()
    assert disk._index.file.write_timeout == BUSY_WAIT
    disk.close()


def test_what_could_not_be_written_is_written_later(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_module, "BUSY_REST", 0.01)
    talk = Conversation(tmp_path)
    talk.answer(PROMPT)
    talk.cache.saver.flush()
    talk.answer([7] * 400)
    with closing(sqlite3.connect(tmp_path / "index.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        talk.cache.saver.flush()
        waiting = len(talk.cache.saver._pending)
        other.execute("ROLLBACK")
    assert waiting > 0
    talk.close()
    assert again(tmp_path, [7] * 400) == 399


@pytest.mark.slow
def test_nothing_is_lost(filled):
    with closing(sqlite3.connect(filled / "index.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert again(filled) == 0
        other.execute("ROLLBACK")
    assert again(filled) == len(PROMPT) - 1
