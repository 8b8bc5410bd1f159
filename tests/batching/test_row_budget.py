"""RowBudget: rows go where expected tokens per cost are highest."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from hd_edge.batching.row_budget import RowBudget


def chances(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def taught(level: float, slope: float, *, noise: float = 0.0) -> RowBudget:
    budget, choose = RowBudget(), random.Random(1)
    for _ in range(300):
        rows = choose.randrange(1, 40)
        budget.observe(rows, (level + slope * rows) * (1 + noise * choose.uniform(-1, 1)))
    return budget


@pytest.mark.parametrize(("level", "slope"), [(0.9, 0.1), (0.05, 0.002), (0.02, 0.02), (1.0, 0.0)])
def test_it_learns_what_forwards_cost(level, slope):
    budget = taught(level, slope, noise=0.1)
    for rows in (8, 16, 32):
        assert budget.seconds(rows) == pytest.approx(level + slope * rows, rel=0.1)
        assert budget.relative(rows) == pytest.approx(budget.seconds(rows) / budget.seconds(1))
    assert RowBudget().relative(1) == 1.0


def test_the_choice_is_the_best_there_is():
    """Against every other choice, over random chances and costs."""
    choose = random.Random(5)
    for _ in range(200):
        level, slope, extra = choose.uniform(0, 1), choose.uniform(0.001, 0.5), choose.choice([0.0, 0.5])
        budget = taught(level, slope)
        level, slope = budget._line()
        offers = [chances(*sorted((choose.random() for _ in range(choose.randrange(4))), reverse=True)) for _ in "abc"]

        def value(counts, offers=offers, level=level, slope=slope, extra=extra):
            tokens = sum(1 + offer[:n].sum() for offer, n in zip(offers, counts, strict=True))
            return tokens / (level + slope * (len(offers) + sum(counts)) + extra)

        everything = itertools.product(*[range(len(offer) + 1) for offer in offers])
        assert value(budget.choose(offers, extra)) == pytest.approx(max(map(value, everything)), rel=1e-5)


def test_one_conversation_drafts_where_a_full_house_does_not():
    budget, offer = taught(0.9, 0.1), chances(0.5, 0.4, 0.3, 0.2)
    alone = budget.choose([offer])[0]
    crowd = budget.choose([offer] * 16)
    assert alone >= 3
    assert sum(crowd) < alone * 4
    assert budget.choose([chances()] * 3) == [0, 0, 0]
    assert budget.choose([]) == []


def test_before_anything_is_known_certain_tokens_are_drafted():
    budget = RowBudget()
    assert budget.seconds(3) == 0.0
    assert budget.choose([chances(0.99, 0.98, 0.01)]) == [2]


def test_a_stall_does_not_teach_much():
    budget = taught(0.9, 0.1)
    before = budget.seconds(8)
    budget.observe(8, 1000.0)
    assert budget.seconds(8) < 2 * before


def test_prompts_have_a_price_of_their_own():
    budget = taught(0.9, 0.1)
    for _ in range(8):
        budget.observe(2, 0.9 + 0.2 + 100 * 0.01, prompt=100)
    assert budget.pieces.token_seconds == pytest.approx(0.01, rel=0.05)
    assert budget.seconds(2) == pytest.approx(1.1, rel=0.05)
