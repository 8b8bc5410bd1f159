"""What a disk can do to the prefix store: it costs time, never a wrong answer and never an exception."""

import errno
import os
import random
import sqlite3
import stat
import warnings

import pytest
from fake_state import PIECES, PROMPT, Conversation, again, put_back

from hd_edge.errors import ConfigError, StoreWarning
from hd_edge.prefix import disk as disk_module
from hd_edge.prefix import files
from hd_edge.prefix.opening import check_arguments
from hd_edge.prefix.upkeep import clear


def test_files_are_the_users_own(filled):
    for path in [filled, *filled.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_200_mutated_files(filled, tmp_path):
    generator = random.Random(7)
    original = {path: path.read_bytes() for path in filled.glob("*/*.kv")}
    index = {filled / "index.sqlite3": (filled / "index.sqlite3").read_bytes()}
    paths = sorted(original)
    lost = 0
    for turn in range(200):
        path = paths[turn % PIECES]
        data = bytearray(original[path])
        kind = turn % 5
        if kind == 0:
            data = data[: generator.randrange(len(data))]
        elif kind == 1:
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        elif kind == 2:
            data += b"\0" * generator.randrange(1, 100)
        elif kind == 3:
            data = bytearray(original[paths[(turn + 1) % PIECES]])  # another piece's file under this name
        else:
            at = generator.randrange(len(data) - 8)
            data[at : at + 8] = generator.randbytes(8)
        path.write_bytes(data)
        lost += again(filled) < len(PROMPT) - 1
        put_back(original | index)
    assert lost == 200  # every one was noticed


def test_a_damaged_file_is_replaced(filled):
    path = max(filled.glob("*/*.kv"), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    assert again(filled) < len(PROMPT) - 1
    assert again(filled) == len(PROMPT) - 1


@pytest.mark.parametrize("what", ["directory", "fifo", "symlink", "text"])
def test_what_is_not_ours_stays(filled, what, tmp_path):
    path = next(filled.glob("*/*.kv"))
    path.unlink()
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "symlink":
        (tmp_path / "letter").write_text("dear aunt")
        path.symlink_to(tmp_path / "letter")
    else:
        path.write_text("dear aunt")
    before = path.lstat()
    assert again(filled) < len(PROMPT) - 1
    again(filled)
    clear(filled)
    assert path.lstat().st_ino == before.st_ino
    if what == "symlink":
        assert (tmp_path / "letter").read_text() == "dear aunt"


def test_a_file_that_goes_away(filled):
    for path in filled.glob("*/*.kv"):
        path.unlink()
    assert again(filled) == 0
    assert again(filled) == len(PROMPT) - 1


def test_an_index_from_the_future_is_left_alone(filled):
    with sqlite3.connect(filled / "index.sqlite3") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = (filled / "index.sqlite3").read_bytes()
    with pytest.warns(StoreWarning, match="version 99"):
        assert again(filled) == 0
    assert (filled / "index.sqlite3").read_bytes() == before


def test_a_damaged_index_of_ours_is_moved_aside(filled):
    path = filled / "index.sqlite3"
    data = bytearray(path.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    path.write_bytes(data)
    assert again(filled) == 0
    assert again(filled) == len(PROMPT) - 1
    assert len(list(filled.glob("index.sqlite3.corrupt-*"))) == 1


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_damaged_page_of_the_index_is_found_when_it_is_opened(filled, page):
    """Else only a later question would find it, each time anew."""
    path = filled / "index.sqlite3"
    data = bytearray(path.read_bytes())
    data[4096 * page : 4096 * (page + 1)] = b"\xa5" * 4096
    path.write_bytes(data)
    assert again(filled) == 0
    assert again(filled) == len(PROMPT) - 1
    assert [aside.read_bytes() for aside in filled.glob("index.sqlite3.corrupt-*")] == [bytes(data)]


def test_an_index_that_another_process_began_anew_stays(filled, monkeypatch):
    path = filled / "index.sqlite3"
    damaged = path.read_bytes()[:100] + b"\xff" * 5000
    path.write_bytes(damaged)
    move = disk_module.move_aside

    def late(*found):
        monkeypatch.undo()
        assert again(filled) == 0  # the other process, which is faster
        return move(*found)

    monkeypatch.setattr(disk_module, "move_aside", late)
    assert again(filled) == len(PROMPT) - 1
    assert [aside.read_bytes() for aside in filled.glob("index.sqlite3.corrupt-*")] == [damaged]


def test_60_damaged_indexes(filled):
    """Random bytes in the index: no exception, no wrong state."""
    generator = random.Random(3)
    path = filled / "index.sqlite3"
    index = path.read_bytes()
    for _ in range(60):
        data = bytearray(index)
        for _ in range(generator.choice([1, 4, 64])):
            data[generator.randrange(72, len(data))] = generator.randrange(256)
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            again(filled)


def test_a_full_disk(tmp_path, monkeypatch, talk):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write_all", no_space)
    talk.answer(PROMPT)
    talk.cache.saver.flush()
    assert [path for path in tmp_path.glob("*/*") if path.is_file()] == []
    with pytest.warns(StoreWarning, match="No space left"):
        talk.answer([1] * 400)
    assert talk.answer(PROMPT) == len(PROMPT) - 1  # from memory


def test_a_disk_that_is_nearly_full_is_not_filled(tmp_path, monkeypatch, opened):
    monkeypatch.setattr(disk_module, "free_bytes", lambda _: disk_module.LEAST_FREE + 10)
    talk = opened(Conversation(tmp_path, budget=1 << 30))
    talk.answer(PROMPT)
    talk.cache.saver.flush()
    assert list(tmp_path.glob("*/*.kv")) == []
    with pytest.warns(StoreWarning, match="nearly full"):
        talk.answer(PROMPT)


def test_a_folder_that_is_a_file(tmp_path, opened):
    (tmp_path / "prefix").write_text("no folder")
    talk = opened(Conversation(tmp_path / "prefix"))
    talk.answer(PROMPT)
    talk.cache.saver.flush()
    with pytest.warns(StoreWarning, match="in memory only"):
        talk.answer(PROMPT)
    assert (tmp_path / "prefix").read_text() == "no folder"


def test_a_lock_held_by_another_process_costs_time_only(filled, opened):
    other = sqlite3.connect(filled / "index.sqlite3", isolation_level=None)
    talk = opened(Conversation(filled))
    other.execute("BEGIN EXCLUSIVE")
    assert talk.answer(PROMPT) == 0
    other.execute("ROLLBACK")
    other.close()
    talk.answer([1] * 300)  # no warning: a lock passes
    assert talk.answer(PROMPT) > 0


def test_clear_leaves_what_is_only_named_like_ours(filled):
    folder = filled / "ab"
    folder.mkdir(exist_ok=True)
    foreign = [
        filled / "index.sqlite3.corrupt-notes.txt",
        filled / "index.sqlite3.corrupt-20260101-000000",
        folder / f".{'0' * 64}.01234567.new",
        folder / f"{'0' * 64}.kv",
    ]
    for path in foreign:
        path.write_text("mine")
    clear(filled)
    assert [path.read_text() for path in foreign] == ["mine"] * len(foreign)
    assert list(filled.glob("[0-9a-f][0-9a-f]/*.kv")) == foreign[3:]


def test_clear_removes_an_index_that_was_moved_aside(filled):
    index = filled / "index.sqlite3"
    index.write_bytes(index.read_bytes()[:200] + b"\xff" * 4000)
    again(filled)
    assert len(list(filled.glob("index.sqlite3.corrupt-*"))) == 1
    clear(filled)
    assert list(filled.glob("index.sqlite3.corrupt-*")) == []


@pytest.mark.parametrize("where", [b"/x", "", "a\0b", 5])
def test_what_is_no_path_is_refused(where):
    with pytest.raises(ConfigError, match="prefix_cache="):
        check_arguments(where, None)


def test_trouble_of_the_first_write_is_told_at_close(tmp_path):
    (tmp_path / "file").write_text("")
    conversation = Conversation(tmp_path / "file")
    conversation.answer(PROMPT)
    with pytest.warns(StoreWarning, match="in memory only"):
        conversation.close()


def test_a_path_that_is_too_long_is_trouble(tmp_path):
    with pytest.warns(StoreWarning, match="in memory only"):
        again(tmp_path / ("x" * 5000))


def test_a_folder_above_that_is_closed_meanwhile(monkeypatch, talk):
    def closed(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    talk.answer(PROMPT)
    monkeypatch.setattr(disk_module, "free_bytes", closed)
    talk.answer([1] * 400)
    with pytest.warns(StoreWarning, match=r"Permission denied.*in memory only"):
        assert talk.answer(PROMPT) == len(PROMPT) - 1
