"""Processes that share the prefix store, and processes that are killed while they write."""

import signal

import pytest
from children import ended
from fake_state import Conversation
from prefix_processes import kill_rounds, start

from hd_edge.prefix.pieces import PIECE
from hd_edge.prefix.upkeep import verify


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.kill
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
    running = [start(tmp_path, first, 20) for first in (0, 10)]  # half of the prompts are the same
    assert [len(said) for said in ended(*running)] == [21, 21]
    talk = Conversation(tmp_path)
    for number in range(30):
        assert talk.answer([*range(100), number, *range(1000)]) == 1100
        talk.cache.saver.flush()  # its lock on the index would cost the next prompt time
    talk.close()
    assert verify(tmp_path) == {"sound": 30 * -(-1101 // PIECE), "damaged": 0, "without_file": 0, "without_row": 0}
