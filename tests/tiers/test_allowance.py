"""What writing may take: a share of the time, paid back before the next time."""

import pytest

from hd_edge import Llama
from hd_edge.store.store import Store
from hd_edge.tiers.allowance import Allowance
from hd_edge.tiers.model import FULL


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 7.0

    def __call__(self):
        return self.now


def test_what_was_overdrawn_is_paid_back_by_the_share_of_time():
    clock = Clock()
    allowance = Allowance(0.01, 0.5, clock)
    assert allowance.left == 0.5
    with allowance.spending():
        clock.now += 2.5
    assert allowance.left == pytest.approx(0.5 - 2.5 + 0.025)
    clock.now += 100
    assert allowance.left == pytest.approx(-1.975 + 1)
    clock.now += 10_000
    assert allowance.left == 0.5  # no more is saved up


def test_an_error_is_paid_for_too():
    clock = Clock()
    allowance = Allowance(0.01, 0.5, clock)
    with pytest.raises(OSError, match="disk"), allowance.spending():
        clock.now += 1
        raise OSError("disk")
    assert allowance.left < 0


def answer(llm, number):
    llm.create_completion(f"the cat {number}", max_tokens=12)


def test_answers_that_are_short_for_their_disk_are_written_together(models, tmp_path, monkeypatch):
    path, clock, writes = tmp_path / "s.sqlite3", Clock(), []
    add = Store.add

    def slow_add(store, *arguments, **settings):
        clock.now += 1.0  # the disk
        writes.append(settings["answers"])
        return add(store, *arguments, **settings)

    monkeypatch.setattr(Store, "add", slow_add)
    with Llama(str(models("Q4_0")), n_ctx=256, n_threads=1, n_threads_batch=1, store=path) as llm:
        llm._hierarchy._writing = Allowance(0.01, 0.1, clock)
        for number in range(4):
            answer(llm, number)
        assert writes == [1]  # it has taken ten times what it may
        clock.now += 100
        answer(llm, 4)
        assert writes == [1, 4]
        for number in range(5, 5 + FULL + 1):
            answer(llm, number)
        assert writes == [1, 4, FULL]  # so much is not risked
    assert writes == [1, 4, FULL, 1]
    with Store(path) as store:
        assert store.counters()["answers"] == 6 + FULL
