"""Several processes and sudden death: a store holds a prefix of the flushed answers, and counts add up."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from children import ended, killed, python, start
from click.testing import CliRunner
from foreign_files import snapshot
from store_helpers import IDENTITY, answer, contents, expected_counts, numbered_answer, rows_of, use

from hd_edge.cli import cli
from hd_edge.errors import StoreError
from hd_edge.store.store import Store
from hd_edge.store.upkeep import verify

CHILD = "flush_child.py"


def kill_rounds(path, rounds, seed):
    """Kills a flushing child again and again; every time the file must hold exactly the answers so far."""
    generator = random.Random(seed)
    flushed = 0
    in_flush = 0
    for _ in range(rounds):
        with start(CHILD, path, flushed, 1000) as child:
            assert int(child.stdout.readline()) == flushed  # it is running
            told = [flushed, *map(int, killed(child, generator.uniform(0.0, 0.25)))]
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
def test_write_that_was_cut_short_is_told_to_readers_and_undone_by_writers(store_path, tmp_path):
    with Store(store_path, IDENTITY) as store:
        for number in range(20):
            store.add(rows_of(answer(number, 200, kinds=300)))
        before = dict(store.scan())
    python("-c", INTERRUPTED, store_path)
    assert store_path.with_name(store_path.name + "-journal").stat().st_size > 0
    files = snapshot(tmp_path)
    with pytest.raises(StoreError, match=r"cut short.*db prune"):
        Store(store_path, IDENTITY, read_only=True)
    (said,) = use(store_path, learn=False)
    assert "cut short" in said
    assert snapshot(tmp_path) == files
    done = CliRunner().invoke(cli, ["db", "prune", str(store_path)])  # what the message says to do
    assert done.exit_code == 0
    with Store(store_path, IDENTITY, read_only=True) as store:
        assert dict(store.scan()) == before


def has_counted(path, answers):
    """Each of the numbered answers once."""
    with Store(path, IDENTITY) as store:
        assert store.counters()["answers"] == answers
        assert contents(store) == expected_counts(range(answers))[0]
        assert verify(store) == []


def test_two_processes_learn_into_one_file(store_path):
    running = [start(CHILD, store_path, first, 30) for first in (0, 30)]
    assert [len(said) for said in ended(*running)] == [30, 30]  # nobody sees "database is locked"
    has_counted(store_path, 60)


def test_threads_that_open_and_close_share_a_file_with_a_process(store_path):
    child = start(CHILD, store_path, 0, 30)

    def learn(first):
        for number in range(first, first + 15):
            with Store(store_path, IDENTITY) as store:  # every opening looks at a file that others are writing
                store.add(rows_of(numbered_answer(number)))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(learn, (30, 45)))
    ended(child)
    has_counted(store_path, 60)


def test_many_processes_create_one_file(store_path, tmp_path):
    ended(*[start(CHILD, store_path, 0, 1) for _ in range(6)])
    with Store(store_path, IDENTITY) as store:
        assert store.counters()["answers"] == 6
    assert list(tmp_path.iterdir()) == [store_path]
