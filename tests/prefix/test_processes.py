"""Processes that share the prefix store, and processes that are killed while they write."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_state import Conversation

from hd_edge.prefix.pieces import PIECE
from hd_edge.prefix.upkeep import verify

CHILD = Path(__file__).parents[1] / "support" / "prefix_child.py"


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
def test_300_kills_while_writing(tmp_path, survival):
    survival.what = "kill -9 of a process that saves prefixes"
    within = 0
    for seed in range(10):
        with survival.case(30):
            within += kill_rounds(tmp_path / str(seed), 30, seed)
    assert within >= 10


def test_two_processes_share_a_folder(tmp_path):
    children = [start(tmp_path, first, 20) for first in (0, 10)]  # half of the prompts are the same
    for child in children:
        out, err = child.communicate(timeout=120)
        assert (child.returncode, err) == (0, "")
        assert len(out.split()) == 21
    talk = Conversation(tmp_path)
    for number in range(30):
        assert talk.answer([*range(100), number, *range(1000)]) == 1100
        talk.cache.saver.flush()  # its lock on the index would cost the next prompt time
    talk.close()
    assert verify(tmp_path) == {"sound": 30 * -(-1101 // PIECE), "damaged": 0, "without_file": 0, "without_row": 0}
