"""Several processes and sudden death: a store holds a prefix of the flushed answers, and counts add up."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_helpers import IDENTITY, contents, expected_counts

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
    kill_rounds(tmp_path / "model.sqlite3", 8, seed=1)


@pytest.mark.kill
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_fifty_kills(tmp_path):
    in_flush = sum(kill_rounds(tmp_path / f"{seed}.sqlite3", 10, seed) for seed in range(5))
    assert in_flush >= 5  # or the kills did not hit what they are for


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


def test_many_processes_create_one_file(tmp_path):
    path = tmp_path / "model.sqlite3"
    children = [start(path, 0, 1) for _ in range(6)]
    for child in children:
        assert child.communicate(timeout=120)[1] == ""
        assert child.returncode == 0
    with Store(path, IDENTITY) as store:
        assert store.counters()["answers"] == 6
    assert list(tmp_path.iterdir()) == [path]
