"""Processes that fill a prefix store, and are killed while they do."""

from __future__ import annotations

import random

import children
from children import killed
from fake_checkpoints import StateConversation
from fake_state import Conversation

from hd_edge.prefix.upkeep import verify


def start(folder, first, count, *, whole=False):
    return children.start("prefix_child.py", folder, first, count, *["whole"] * whole)


def kill_rounds(folder, rounds, seed, *, whole=False):
    """Kills a saving child again and again; what is there afterwards is right. Returns kills within a write."""
    generator = random.Random(seed)
    within = 0
    for turn in range(rounds):
        with start(folder, 1000 * turn, 1000, whole=whole) as child:
            assert child.stdout.readline() == "ready\n"
            saved = [int(word) for word in killed(child, generator.uniform(0.0, 0.15))]
        within += any(folder.glob("*/.*.new")) or (folder / "index.sqlite3-journal").exists()
        talk = (StateConversation if whole else Conversation)(folder)
        for number in saved[-2:]:  # what was told to be saved is
            assert talk.answer([*range(100), number, *range(1000), 1]) == 1101
        talk.answer([*range(100), (saved or [1000 * turn - 1])[-1] + 1, *range(1000)])
        talk.close()
    found = verify(folder)
    assert found["damaged"] == 0
    return within
