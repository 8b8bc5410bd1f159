"""GGUF files that are wrong in every way: each is loaded in a process with limits; an error of ours, or an answer."""

from __future__ import annotations

import random

import pytest
from broken_gguf import CASES, broken, sound
from hostile_models import load_all


def test_a_file_written_by_hand_answers(tmp_path, survival):
    assert load_all(tmp_path, {"sound": sound().to_bytes()}, survival) == {"sound": "sound"}


def test_some_broken_files(tmp_path, survival):
    survival.what = "broken GGUFs by hand"
    load_all(tmp_path, {name: broken(name) for name in list(CASES)[::25]}, survival)


@pytest.mark.slow
def test_all_broken_files(tmp_path, survival):
    survival.what = "broken GGUFs by hand"
    load_all(tmp_path, {name: broken(name) for name in CASES}, survival)


@pytest.mark.slow
def test_files_that_chance_has_damaged(tmp_path, survival):
    """In the part that tells how to read the rest: weights may be anything."""
    survival.what = "mutations of a GGUF's header"
    content = sound().to_bytes()
    end = content.index(b"output.weight") + 40
    choose = random.Random(4)
    files = {}
    for number in range(500):
        data = bytearray(content)
        for _ in range(choose.choice([1, 1, 3, 10])):
            at = choose.randrange(4, end)
            data[at : at + 1] = choose.randbytes(1) if choose.random() < 0.5 else bytes([data[at] ^ 1 << at % 8])
        if choose.random() < 0.1:
            del data[choose.randrange(4, len(data)) :]
        files[f"{number:03}"] = bytes(data)
    load_all(tmp_path, files, survival)
