"""Processes that fill a prefix store, and are killed while they do."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from fake_checkpoints import StateConversation
from fake_state import Conversation

from hd_edge.prefix.upkeep import verify

CHILD = Path(__file__).with_name("prefix_child.py")


def start(folder, first, count, *, whole=False):
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), str(first), str(count), *(["whole"] if whole else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_rounds(folder, rounds, seed, *, whole=False):
    """Kills a saving child again and again; what is there afterwards is right. Returns kills within a write."""
    generator = random.Random(seed)
    within = 0
    for turn in range(rounds):
        with start(folder, 1000 * turn, 1000, whole=whole) as child:
            assert child.stdout.readline() == "ready\n"
            time.sleep(generator.uniform(0.0, 0.15))  # where in its work the child dies is the matter of chance here
            os.kill(child.pid, signal.SIGKILL)
            saved = [int(line) for line in child.stdout.read().split()]
            assert child.wait() == -signal.SIGKILL
            assert child.stderr.read() == ""
        within += any(folder.glob("*/.*.new")) or (folder / "index.sqlite3-journal").exists()
        talk = (StateConversation if whole else Conversation)(folder)
        for number in saved[-2:]:  # what was told to be saved is
            assert talk.answer([*range(100), number, *range(1000), 1]) == 1101
        talk.answer([*range(100), (saved or [1000 * turn - 1])[-1] + 1, *range(1000)])
        talk.close()
    found = verify(folder)
    assert found["damaged"] == 0
    return within
