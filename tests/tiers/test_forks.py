"""A fork: what the parent did is the parent's to count and write, what the child does the child's."""

import os

import pytest
from store_helpers import IDENTITY, answer

from hd_edge.config import DraftConfig
from hd_edge.errors import StoreBusyError
from hd_edge.stats import GenerationStats
from hd_edge.store.store import Store
from hd_edge.tiers.memory import Hierarchy

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Learner:
    """A planner that says in which process it is asked."""

    def calibration(self):
        return str(os.getpid()).encode()

    def cost_rows(self):
        return [(1, 0, 0.001, 1)]


def generate(memory, seed, stats):
    """Begins a generation, which ends when what is returned is called."""
    end = memory.ending(stats)
    memory.model.lookups += 3
    tokens = answer(seed)
    return lambda: end(tokens, [(2, len(tokens))])


def in_child(act):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return child


def saved(path):
    with Store(path, IDENTITY) as store:
        counters = store.counters()
        return counters.get("answers", 0), counters.get("model.lookups", 0), store.load_calibration()


@pytest.fixture
def memory(store_path):
    """One generation has ended and is not learned yet."""
    memory = Hierarchy(IDENTITY, DraftConfig(tiers=("model",)), store=store_path, statistics=None, learn=True)
    memory.learner = Learner()
    generate(memory, 1, GenerationStats())()
    return memory


def test_a_child_that_only_closes_writes_nothing(memory, store_path):
    rests = generate(memory, 2, GenerationStats())

    def child():
        rests()
        memory.close()

    in_child(child)
    assert saved(store_path) == (0, 0, None)
    rests()
    memory.close()
    assert saved(store_path) == (2, 6, str(os.getpid()).encode())


def test_a_child_writes_what_it_did_itself(memory, store_path):
    rests = generate(memory, 2, GenerationStats())
    stats = GenerationStats()

    def child():
        rests()
        generate(memory, 3, stats)()
        assert stats.lookups["model"] == 3
        memory.close()

    number = in_child(child)
    assert saved(store_path) == (1, 3, str(number).encode())
    rests()
    memory.close()
    assert saved(store_path) == (3, 9, str(os.getpid()).encode())


def test_a_child_forked_in_the_middle_of_a_commit_counts_none(memory, store_path):
    """Whether the parent's transaction is committed nobody in the child knows, nor is it the child's."""
    file = memory.model.store.file
    file.write_timeout = 0.0

    def child():
        assert file.commits == 0
        with pytest.raises(StoreBusyError):
            memory.model.store.add({})
        assert file.commits == 0

    with file.writing():
        file._promised = 1  # as it is while SQLite commits
        in_child(child)
    memory.close()
    assert saved(store_path)[0] == 1
