"""What a disk can do to the prefix store: it costs time, never a wrong answer and never an exception."""

import errno
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from fake_state import ROOT, Conversation
from hypothesis import given, settings
from hypothesis import strategies as st

from hd_edge.errors import StoreWarning
from hd_edge.prefix import disk as disk_module
from hd_edge.prefix import files
from hd_edge.prefix.disk import Disk, open_index, sweep
from hd_edge.prefix.pieces import PIECE, Piece, common, pack
from hd_edge.prefix.upkeep import clear, report, verify

CHILD = Path(__file__).parents[1] / "support" / "prefix_child.py"
PIECES = -(-900 // PIECE)
PROMPT = np.random.default_rng(5).integers(0, 1000, 900).tolist()


@pytest.fixture
def filled(tmp_path):
    """A folder that holds PROMPT."""
    folder = tmp_path / "prefix"
    talk = Conversation(folder)
    talk.answer(PROMPT)
    talk.close()
    assert len(list(folder.glob("*/*.kv"))) == PIECES
    return folder


def again(folder):
    """How many tokens of PROMPT the folder still gives; the state is checked on the way."""
    talk = Conversation(folder)
    known = talk.answer(PROMPT)
    talk.close()
    return known


def test_files_are_the_users_own(filled):
    for path in [filled, *filled.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_200_mutated_files(filled, tmp_path):
    generator = random.Random(7)
    original = {path: path.read_bytes() for path in filled.glob("*/*.kv")}
    index = (filled / "index.sqlite3").read_bytes()
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
        for good, content in original.items():
            good.parent.mkdir(exist_ok=True)
            good.write_bytes(content)
        (filled / "index.sqlite3").write_bytes(index)
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
    talk = Conversation(filled)
    with pytest.warns(StoreWarning, match="version 99"):
        assert talk.answer(PROMPT) == 0
    talk.close()
    assert (filled / "index.sqlite3").read_bytes() == before


def test_a_damaged_index_of_ours_is_moved_aside(filled):
    path = filled / "index.sqlite3"
    data = bytearray(path.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    path.write_bytes(data)
    assert again(filled) == 0
    assert again(filled) == len(PROMPT) - 1
    assert len(list(filled.glob("index.sqlite3.corrupt-*"))) == 1


def test_60_damaged_indexes(filled):
    """Random bytes in the index: no exception, no wrong state."""
    import warnings

    generator = random.Random(3)
    path = filled / "index.sqlite3"
    index = path.read_bytes()
    for _ in range(60):
        data = bytearray(index)
        for _ in range(generator.choice([1, 4, 64])):
            data[generator.randrange(72, len(data))] = generator.randrange(256)
        path.write_bytes(data)
        talk = Conversation(filled)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            talk.answer(PROMPT)
        talk.close()


def test_a_full_disk(tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    talk = Conversation(tmp_path)
    monkeypatch.setattr(files, "_write_all", no_space)
    talk.answer(PROMPT)
    talk.cache.saver.flush()
    assert [path for path in tmp_path.glob("*/*") if path.is_file()] == []
    with pytest.warns(StoreWarning, match="No space left"):
        talk.answer([1] * 400)
    assert talk.answer(PROMPT) == len(PROMPT) - 1  # from memory
    talk.close()


def test_a_disk_that_is_nearly_full_is_not_filled(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_module, "free_bytes", lambda _: disk_module.LEAST_FREE + 10)
    talk = Conversation(tmp_path, budget=1 << 30)
    talk.answer(PROMPT)
    talk.cache.saver.flush()
    assert list(tmp_path.glob("*/*.kv")) == []
    with pytest.warns(StoreWarning, match="nearly full"):
        talk.answer(PROMPT)
    talk.close()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "prefix").write_text("no folder")
    talk = Conversation(tmp_path / "prefix")
    talk.answer(PROMPT)
    talk.cache.saver.flush()
    with pytest.warns(StoreWarning, match="in memory only"):
        talk.answer(PROMPT)
    talk.close()
    assert (tmp_path / "prefix").read_text() == "no folder"


def test_a_lock_held_by_another_process_costs_time_only(filled):
    other = sqlite3.connect(filled / "index.sqlite3", isolation_level=None)
    talk = Conversation(filled)
    other.execute("BEGIN EXCLUSIVE")
    assert talk.answer(PROMPT) == 0
    other.execute("ROLLBACK")
    other.close()
    talk.answer([1] * 300)  # no warning: a lock passes
    assert talk.answer(PROMPT) > 0
    talk.close()


# ------------------------------------------------------------------ processes


def start(folder, first, count):
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), str(first), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_rounds(folder, rounds, seed):
    """Kills a saving child again and again; what is there afterwards is right. Returns kills within a write."""
    generator = random.Random(seed)
    within = 0
    for turn in range(rounds):
        with start(folder, 1000 * turn, 1000) as child:
            assert child.stdout.readline() == "ready\n"
            time.sleep(generator.uniform(0.0, 0.15))  # where in its work the child dies is the matter of chance here
            os.kill(child.pid, signal.SIGKILL)
            saved = [int(line) for line in child.stdout.read().split()]
            assert child.wait() == -signal.SIGKILL
            assert child.stderr.read() == ""
        within += any(folder.glob("*/.*.new")) or (folder / "index.sqlite3-journal").exists()
        talk = Conversation(folder)
        for number in saved[-2:]:
            assert talk.answer([*range(100), number, *range(1000)]) == 1100  # what was told to be saved is
        talk.answer([*range(100), (saved or [1000 * turn - 1])[-1] + 1, *range(1000)])
        talk.close()
    found = verify(folder)
    assert found["damaged"] == 0
    return within


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_20_kills_while_writing(tmp_path):
    kill_rounds(tmp_path, 20, seed=1)


@pytest.mark.kill
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_300_kills_while_writing(tmp_path):
    assert sum(kill_rounds(tmp_path / str(seed), 30, seed) for seed in range(10)) >= 10


def test_two_processes_share_a_folder(tmp_path):
    children = [start(tmp_path, first, 20) for first in (0, 10)]  # half of the prompts are the same
    for child in children:
        out, err = child.communicate(timeout=120)
        assert (child.returncode, err) == (0, "")
        assert len(out.split()) == 21
    talk = Conversation(tmp_path)
    for number in range(30):
        assert talk.answer([*range(100), number, *range(1000)]) == 1100
    talk.close()
    assert verify(tmp_path) == {"sound": 30 * -(-1101 // PIECE), "damaged": 0, "without_file": 0, "without_row": 0}


# ------------------------------------------------------------------ upkeep


def test_report_verify_and_clear(filled):
    found = report(filled)
    assert [(model["model"], model["pieces"], model["tokens"]) for model in found["models"]] == [("fake", PIECES, 900)]
    assert verify(filled) == {"sound": PIECES, "damaged": 0, "without_file": 0, "without_row": 0}
    paths = sorted(filled.glob("*/*.kv"))
    paths[0].write_bytes(paths[0].read_bytes()[:-3])
    paths[1].unlink()
    assert verify(filled) == {"sound": PIECES - 2, "damaged": 1, "without_file": 1, "without_row": 0}
    assert not paths[0].exists()
    (filled / "notes.txt").write_text("mine")
    assert clear(filled)[0] == PIECES - 2
    assert [path.name for path in filled.rglob("*") if path.is_file()] == ["index.sqlite3", "notes.txt"]
    assert report(filled)["models"] == []


def test_clearing_leaves_nothing_of_the_text(filled):
    needle = next(iter(PROMPT)).to_bytes(4, "big") + PROMPT[1].to_bytes(4, "big")
    assert needle in (filled / "index.sqlite3").read_bytes()
    clear(filled)
    assert needle not in (filled / "index.sqlite3").read_bytes()


def test_orphans_go_once_they_are_old(filled):
    orphan = filled / "aa" / ("aa" * 32 + ".kv")
    orphan.parent.mkdir(exist_ok=True)
    shutil.copy(next(filled.glob("*/*.kv")), orphan)
    half = orphan.with_name("." + "ab" * 32 + ".01234567.new")
    half.write_bytes(b"half a piece")
    index = open_index(filled)
    assert sweep(filled, index) == 0  # they may be another process's newest
    for path in (orphan, half):
        os.utime(path, (1, 1))
    assert sweep(filled, index) == 2
    index.close()
    assert again(filled) == len(PROMPT) - 1


def test_the_first_write_sweeps(filled):
    half = filled / "aa" / ("." + "ab" * 32 + ".01234567.new")
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half a piece")
    os.utime(half, (1, 1))
    talk = Conversation(filled)
    talk.answer([1] * 300)
    talk.close()
    assert not half.exists()


def test_rates_are_remembered(filled):
    disk = Disk(filled, ROOT)
    assert disk.rates() == (10.0, 500e6)
    disk.close()


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
