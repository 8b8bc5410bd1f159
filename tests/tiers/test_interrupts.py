"""Signals whose handlers raise while an answer is learned: it counts once, wherever that happens."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from raising_handler import RaisingHandler
from store_helpers import IDENTITY, N_VOCAB, answer, contents, rows_of

import hd_edge
from hd_edge.config import DraftConfig
from hd_edge.stats import GenerationStats
from hd_edge.store.store import Store
from hd_edge.tiers.memory import Hierarchy

PACKAGE = Path(hd_edge.__file__).parent
LEARNS = tuple(str(PACKAGE / part) for part in ("tiers/memory.py", "tiers/model.py", "store/store.py", "store/file.py"))
LEARNS += (str(PACKAGE / "store" / "safety.py"),)


def learned(path, seeds):
    """A memory that has learned some answers."""
    memory = Hierarchy(IDENTITY, DraftConfig(tiers=("model",)), store=path, statistics=None, learn=True)
    memory.model.store.file._db.execute("PRAGMA synchronous=OFF")  # for speed
    for seed in seeds:
        tokens = answer(seed, kinds=8)
        memory.finished(tokens, [(2, len(tokens))], GenerationStats())
    return memory


def said(seeds):
    with Store(None, IDENTITY) as store:
        for seed in seeds:
            store.add(rows_of(answer(seed, kinds=8), 2))
        return contents(store)


@pytest.mark.parametrize("then", ["another", "close"])
def test_an_answer_counts_once_wherever_a_signal_raises(tmp_path, then):
    """Then something else is written and learned, or nothing more comes."""
    empty, path, number = tmp_path / "empty.sqlite3", tmp_path / "model.sqlite3", 0
    Store(empty, IDENTITY).close()
    while True:
        shutil.copyfile(empty, path)
        memory = learned(path, [1, 2])
        interrupted = RaisingHandler(KeyboardInterrupt, LEARNS, number, lines=True).run(
            memory.close if then == "close" else memory.catch_up
        )
        seeds = [1, 2]
        if then == "another":
            memory.model.safe.write(lambda store: store.set_meta({"x": 1}))
            tokens = answer(3, kinds=8)
            memory.finished(tokens, [(2, len(tokens))], GenerationStats())
            seeds.append(3)
        memory.close()
        with Store(path) as store:
            assert store.counters()["answers"] == len(seeds), number
            assert contents(store) == said(seeds), number
        if not interrupted:
            assert number > 50
            return
        number += 1


def test_answers_are_those_of_the_moment_in_which_they_ended(tmp_path):
    """The model's own array of tokens is the next generation's."""
    path = tmp_path / "model.sqlite3"
    memory = learned(path, [])
    tokens = answer(1, kinds=8)
    memory.finished(tokens, [(2, len(tokens))], GenerationStats())
    tokens[:] = np.arange(len(tokens)) % N_VOCAB
    memory.close()
    with Store(path) as store:
        assert contents(store) == said([1])
