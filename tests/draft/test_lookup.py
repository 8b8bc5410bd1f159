"""Look-ups in the tiers' files take no more than their share of the time."""

from __future__ import annotations

from types import SimpleNamespace

from hd_edge.draft import lookup
from hd_edge.draft.lookup import Lookups


class File:
    """Each row costs ``cost`` seconds of ``now``."""

    def __init__(self, name: str, cost: float, answers: bool = True) -> None:
        self.tier = SimpleNamespace(name=name, cache=None, fetch=self.fetch)
        self.now, self.cost, self.answers = 0.0, cost, answers
        self.asked: list[int] = []

    def fetch(self, keys: list[int]) -> int:
        self.asked += keys
        self.now += self.cost * len(keys)
        return len(keys) if self.answers else 0


def make(file: File) -> Lookups:
    return Lookups([file.tier], clock=lambda: file.now)


def test_a_quick_file_is_asked_for_all_that_is_missing():
    file = File("model", 1e-6)
    assert make(file).fetch({"model": [1, 2, 3]}) == 3
    assert file.asked == [1, 2, 3]


def test_a_slow_file_keeps_to_its_share():
    file = File("model", 0.004)
    look = make(file)
    for _ in range(2000):
        look.allow(0.01)
        look.fetch({"model": [1, 2, 3, 4]})
    assert file.now <= lookup.FETCHED * 2000 * 0.01 + 4 * 0.004
    assert len(file.asked) > 20


def test_the_likeliest_key_goes_first_when_not_all_can():
    file = File("model", 50e-6)
    look = make(file)
    look._allowance = 1.5 * look._each
    look.fetch({"model": [7, 8, 9]})
    assert file.asked == [7]


def test_nothing_missing_costs_nothing():
    file = File("model", 1.0)
    assert make(file).fetch({"model": []}) == 0
    assert file.now == 0
