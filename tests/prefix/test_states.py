"""Whole states on disk and in memory, over a fake memory that checks what is restored."""

from __future__ import annotations

import random
import signal
import stat
from functools import partial

import fake_state
import pytest
from children import ended
from fake_checkpoints import SIZE, StateConversation
from fake_state import PROMPT, put_back
from prefix_processes import kill_rounds, start

from hd_edge.prefix.upkeep import clear, report, verify

again = partial(fake_state.again, kind=StateConversation)


@pytest.fixture
def filled(tmp_path):
    """It holds PROMPT."""
    folder = tmp_path / "prefix"
    assert again(folder) == 0
    return folder


def test_the_next_process_goes_on_from_the_latest_beginning(filled):
    assert again(filled, [*PROMPT, 1, 2, 3]) == len(PROMPT)
    assert again(filled, [*PROMPT[:-3], 1, 2, 3]) == 896
    assert again(filled, [*PROMPT[:850], 1, 2, 3]) == 768  # a further one lies further back
    assert again(filled, [1, *PROMPT]) == 0
    assert again(filled, PROMPT[:100]) == 0  # a state cannot be cut


def test_states_lie_sparser_further_back(filled):
    (model,) = report(filled)["models"]
    assert model["pieces"] == 5  # after 900, 896, 884, 768 and 512 tokens
    assert [path.stat().st_size > SIZE for path in filled.glob("*/*.kv")] == [True] * 5
    for path in [filled, *filled.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_longer_state_does_not_replace_a_shorter_one(tmp_path):
    assert again(tmp_path, PROMPT[:130]) == 0
    assert again(tmp_path, PROMPT[:250]) == 130
    assert again(tmp_path, [*PROMPT[:131], 1, 2, 3, *range(60)]) == 130


def test_conversations_that_take_turns_in_one_process(opened):
    talk = opened(StateConversation())
    prompts = [[number, *PROMPT] for number in range(4)]
    for prompt in prompts:
        assert talk.answer(prompt) == 0
    for prompt in prompts:  # nothing was saved while idle: it was taken before it was lost
        assert talk.answer([*prompt, 5]) == len(prompt)


def test_memory_is_bounded(opened):
    talk = opened(StateConversation(memory=3 * SIZE))
    for number in range(10):
        talk.answer([number, *PROMPT])
        assert talk.cache.memory.bytes <= 3 * SIZE
    assert talk.answer([0, *PROMPT, 1]) == 0
    assert talk.answer([9, *PROMPT, 1]) > 0


def test_the_least_recently_used_states_go(tmp_path):
    budget = 30 * SIZE
    for number in range(20):
        again(tmp_path, [number, *PROMPT], budget=budget)
        assert sum(path.stat().st_size for path in tmp_path.glob("*/*.kv")) <= budget
    assert verify(tmp_path)["without_file"] == verify(tmp_path)["without_row"] == 0
    assert again(tmp_path, [0, *PROMPT, 1]) == 0
    assert again(tmp_path, [19, *PROMPT, 1]) > 0


def test_a_state_that_saves_little_is_not_written(tmp_path, opened):
    talk = opened(StateConversation(tmp_path))
    talk.cache.price.disk = SIZE / 2.0  # two seconds a state, the rate of computing is ten tokens a second
    talk.answer(PROMPT[:200])
    talk.cache.saver.flush()
    assert [path.stat().st_size > 0 for path in tmp_path.glob("*/*.kv")] == [True] * 2  # 128, 56 behind it, not 200


def test_100_mutated_files(filled):
    generator = random.Random(7)
    original = {path: path.read_bytes() for path in filled.glob("*/*.kv")}
    index = {filled / "index.sqlite3": (filled / "index.sqlite3").read_bytes()}
    paths, lost = sorted(original), 0
    for turn in range(100):
        path = paths[turn % len(paths)]
        data = bytearray(original[path])
        kind = turn // len(paths) % 4
        if kind == 0:
            data = data[: generator.randrange(len(data))]
        elif kind == 1:
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        elif kind == 2:
            data = bytearray(original[paths[(turn + 1) % len(paths)]])  # another state under this name
        else:
            data[8] += 1  # a later version
        path.write_bytes(data)
        lost += again(filled, [*PROMPT, 1]) < len(PROMPT)  # wrong state would raise
        put_back(original | index)
    assert lost == 20  # whenever the state that the prompt needs was hit


def test_verify_and_clear(filled):
    assert verify(filled) == {"sound": 5, "damaged": 0, "without_file": 0, "without_row": 0}
    path = min(filled.glob("*/*.kv"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    assert verify(filled) == {"sound": 4, "damaged": 1, "without_file": 0, "without_row": 0}
    assert clear(filled)[0] == 4
    assert again(filled) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.kill
def test_20_kills_while_writing(tmp_path):
    kill_rounds(tmp_path, 20, seed=2, whole=True)


def test_two_processes_share_a_folder(tmp_path):
    running = [start(tmp_path, first, 20, whole=True) for first in (0, 10)]  # half of the prompts are the same
    assert [len(said) for said in ended(*running)] == [21, 21]
    for number in range(30):
        assert again(tmp_path, [*range(100), number, *range(1000), 1]) == 1101
    assert verify(tmp_path)["damaged"] == 0
