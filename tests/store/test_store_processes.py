"""Several processes and sudden death: a store holds a prefix of the flushed answers, and counts add up."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from foreign_files import snapshot
from store_helpers import IDENTITY, answer, contents, expected_counts, numbered_answer, rows_of, use

from hd_edge.cli import cli
from hd_edge.errors import StoreError
from hd_edge.store.store import Store
from hd_edge.store.upkeep import verify

CHILD = Path(__file__).parents[1] / "support" / "flush_child.py"


def start(path, first, count):
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(path), str(first), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_rounds(path, rounds, seed):
    """Kills a flushing child again and again; every time the file must hold exactly the answers so far."""
    generator = random.Random(seed)
    flushed = 0
    in_flush = 0
    for _ in range(rounds):
        with start(path, flushed, 1000) as child:
            assert int(child.stdout.readline()) == flushed  # it is running
            time.sleep(generator.uniform(0.0, 0.25))
            os.kill(child.pid, signal.SIGKILL)
            told = [flushed, *map(int, child.stdout.read().split())]
            assert child.wait() == -signal.SIGKILL
            assert child.stderr.read() == ""
        journal = path.with_name(path.name + "-journal").exists()
        in_flush += journal
        with Store(path, IDENTITY) as store:
            now = store.counters()["answers"]
            assert now - 1 in (told[-1], told[-1] + 1)  # the commit may have come before its line
            flushed = now
            rows = dict(store.scan())
            assert verify(store) == []
        assert rows == expected_counts(range(flushed))[1]
    return in_flush


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_child_leaves_whole_answers(tmp_path):
    kill_rounds(tmp_path / "model.sqlite3", 20, seed=1)


@pytest.mark.kill
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_three_hundred_kills(tmp_path, survival):
    survival.what = "kill -9 of a process that learns"
    in_flush = 0
    for seed in range(30):
        with survival.case(10):
            in_flush += kill_rounds(tmp_path / f"{seed}.sqlite3", 10, seed)
    assert in_flush >= 30  # or the kills did not hit what they are for


INTERRUPTED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=1")  # spills: the journal is synced, then pages of the file are written
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE ngrams SET total = total + 1")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_write_that_was_cut_short_is_told_to_readers_and_undone_by_writers(tmp_path):
    path = tmp_path / "model.sqlite3"
    with Store(path, IDENTITY) as store:
        for number in range(20):
            store.add(rows_of(answer(number, 200, kinds=300)))
        before = dict(store.scan())
    subprocess.run([sys.executable, "-c", INTERRUPTED, str(path)], check=False)
    assert path.with_name(path.name + "-journal").stat().st_size > 0
    files = snapshot(tmp_path)
    with pytest.raises(StoreError, match=r"cut short.*db prune"):
        Store(path, IDENTITY, read_only=True)
    (said,) = use(path, learn=False)
    assert "cut short" in said
    assert snapshot(tmp_path) == files
    done = CliRunner().invoke(cli, ["db", "prune", str(path)])  # what the message says to do
    assert done.exit_code == 0
    with Store(path, IDENTITY, read_only=True) as store:
        assert dict(store.scan()) == before


def test_two_processes_learn_into_one_file(tmp_path):
    path = tmp_path / "model.sqlite3"
    children = [start(path, first, 30) for first in (0, 30)]
    for child in children:
        out, err = child.communicate(timeout=120)
        assert err == ""  # nobody sees "database is locked"
        assert child.returncode == 0
        assert len(out.split()) == 30
    with Store(path, IDENTITY) as store:
        assert store.counters()["answers"] == 60
        assert contents(store) == expected_counts(range(60))[0]
        assert verify(store) == []


def test_threads_that_open_and_close_share_a_file_with_a_process(tmp_path):
    path = tmp_path / "model.sqlite3"
    child = start(path, 0, 30)

    def learn(first):
        for number in range(first, first + 15):
            with Store(path, IDENTITY) as store:  # every opening looks at a file that others are writing
                store.add(rows_of(numbered_answer(number)))

    threads = [threading.Thread(target=learn, args=(first,)) for first in (30, 45)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert child.communicate(timeout=120)[1] == ""
    with Store(path, IDENTITY) as store:
        assert store.counters()["answers"] == 60
        assert contents(store) == expected_counts(range(60))[0]
        assert verify(store) == []


def test_many_processes_create_one_file(tmp_path):
    path = tmp_path / "model.sqlite3"
    children = [start(path, 0, 1) for _ in range(6)]
    for child in children:
        assert child.communicate(timeout=120)[1] == ""
        assert child.returncode == 0
    with Store(path, IDENTITY) as store:
        assert store.counters()["answers"] == 6
    assert list(tmp_path.iterdir()) == [path]
