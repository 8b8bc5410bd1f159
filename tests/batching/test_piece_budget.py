"""PieceBudget: pieces of prompts on simulated machines. No clock."""

from __future__ import annotations

import random
from dataclasses import dataclass
from statistics import median

import pytest

from hd_edge.backend.team import Team
from hd_edge.batching.piece_budget import LEAST_PIECE, RESPITE, ROWS, STALL, STRETCH
from hd_edge.batching.row_budget import RowBudget

ANSWERING = 8


@dataclass
class Costs:
    """Seconds of a forward without any row, of an answer's row, and of a prompt's token; spread of their logarithm."""

    fixed: float
    row: float
    token: float
    noise: float = 0.05

    def forward(self, rows: int, tokens: int) -> float:
        """Without noise."""
        return self.fixed + self.row * rows + self.token * tokens


QUIET = Costs(0.006, 0.0006, 0.0014)
WIDE = Costs(0.09, 0.01, 0.015)  # 7B width, whose answers' forward takes longer than STALL
SLOWED = Costs(0.024, 0.0024, 0.0056, 0.3)  # other programs take three of four parts of the time
WAITING = Costs(0.4, 0.001, 0.0028, 0.4)  # threads that wait for each other: two hundred times a forward


def read(budget: RowBudget, costs: Costs, forwards: int, *, seed: int = 1, answering: int = ANSWERING) -> list[int]:
    """Forwards beside answers, with a prompt to read all the time. Returns the pieces."""
    choose, pieces = random.Random(seed), []
    for _ in range(forwards):
        pieces.append(budget.piece(answering))
        stall = 6.0 if choose.random() < 0.02 else 1.0
        seconds = costs.forward(answering, pieces[-1]) * choose.lognormvariate(0.0, costs.noise) * stall
        budget.observe(answering, seconds, pieces[-1])
    return pieces


def begun(costs: Costs) -> RowBudget:
    """After the first prompt, read alone."""
    budget = RowBudget()
    for _ in range(3):
        budget.observe(0, costs.forward(0, 512), 512)
    return budget


def usual(pieces: list[int]) -> float:
    return median(piece for piece in pieces if piece)


@pytest.mark.parametrize("costs", [QUIET, WIDE, SLOWED, WAITING])
@pytest.mark.parametrize("seed", range(5))
def test_a_piece_takes_as_long_as_the_answers_or_the_stall(costs: Costs, seed: int) -> None:
    """Whatever other programs do from the start: nobody waits much longer, and no piece is much shorter."""
    pieces = [piece for piece in read(begun(costs), costs, 400, seed=seed)[100:] if piece]
    allowed = max(STALL, costs.forward(ANSWERING, 0))
    assert costs.token * max(pieces) < max(2.5 * allowed, costs.token * (LEAST_PIECE + ROWS))
    assert costs.token * usual(pieces) > min(0.5 * allowed, costs.token * LEAST_PIECE)
    assert all((piece + ANSWERING) % ROWS == 0 and piece >= LEAST_PIECE for piece in pieces)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("busy", [SLOWED, WAITING])
def test_a_busy_machine_never_makes_pieces_shorter(busy: Costs, seed: int) -> None:
    """What other programs make dearer is waited for anyway; shorter pieces would only be more forwards."""
    budget = begun(QUIET)
    quiet = usual(read(budget, QUIET, 300, seed=seed))
    pieces = read(budget, busy, 400, seed=seed)
    assert min(usual(pieces[at : at + 20]) for at in range(0, 400, 20)) >= quiet - ROWS
    bound = max(STRETCH * STALL, busy.forward(ANSWERING, 0))
    assert all(busy.token * piece < 3 * bound for piece in pieces[60:])


@pytest.mark.parametrize("seed", range(5))
def test_a_dear_fixed_part_makes_pieces_longer(seed: int) -> None:
    budget = begun(QUIET)
    quiet = usual(read(budget, QUIET, 300, seed=seed))
    assert usual(read(budget, WAITING, 300, seed=seed)[100:]) > 2 * quiet


@pytest.mark.parametrize("seed", range(5))
def test_where_others_stop_pieces_are_soon_short_again(seed: int) -> None:
    budget = begun(QUIET)
    quiet = usual(read(budget, QUIET, 300, seed=seed))
    read(budget, WAITING, 300, seed=seed)
    assert usual(read(budget, QUIET, 200, seed=seed)[100:]) <= quiet + ROWS


def test_now_and_then_a_forward_reads_nothing() -> None:
    pieces = read(begun(QUIET), QUIET, 200)
    assert 200 // (RESPITE + 1) <= pieces.count(0) <= 200 // RESPITE + 1


def test_a_long_time_without_prompts_keeps_the_price_of_their_tokens() -> None:
    budget = begun(QUIET)
    read(budget, QUIET, 200)
    known = budget.pieces.token_seconds
    for _ in range(5000):
        budget.observe(ANSWERING, QUIET.forward(ANSWERING, 0))
    assert budget.pieces.token_seconds == pytest.approx(known, rel=0.3)
    assert budget.relative(ANSWERING, 100) > 2 * budget.relative(ANSWERING)


def test_before_anything_is_known_a_piece_is_short() -> None:
    assert LEAST_PIECE <= RowBudget().piece(1) <= 2 * ROWS
    assert RowBudget().relative(1, 6) == pytest.approx(2.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_team_that_reads_prompts_all_the_time_finds_its_size(seed: int) -> None:
    """On a machine that other programs use, two threads wait for each other; later on an idle one they do not."""
    alone, choose = Costs(0.012, 0.0012, 0.0028, 0.2), random.Random(seed)
    team, budget = Team(2, lambda size: None), begun(QUIET)
    for together, forwards, best in ((QUIET, 200, 2), (WAITING, 100, 1), (QUIET, 2000, 2)):
        for _ in range(forwards):
            team.before(0)
            costs, piece = {1: alone, 2: together}[team.size], budget.piece(ANSWERING)
            seconds = costs.forward(ANSWERING, piece) * choose.lognormvariate(0.0, costs.noise)
            team.after(seconds / budget.relative(ANSWERING, piece))
            budget.observe(ANSWERING, seconds, piece)
        assert team.home == best


@pytest.mark.parametrize("seed", range(60))
def test_prices_stay_finite_whatever_forwards_take(seed):
    choose, budget = random.Random(seed), RowBudget()
    costs = Costs(*(10 ** choose.uniform(-4, -2) for _ in range(3)), noise=choose.choice([0.05, 0.3, 1.0]))
    alone = 0.0
    for step in range(1200):
        if step % 60 == 0:
            alone = choose.choice([0.0, 0.5, 1.0])  # prompts that come while nobody answers
        rows = 0 if choose.random() < alone else choose.randint(1, 8)
        prompt = choose.choice([0, 16, 48] if rows else [16, 100, 512])
        stall = choose.choice([1.0] * 60 + [0.0, 10.0, 50.0])
        budget.observe(rows, costs.forward(rows, prompt) * choose.lognormvariate(0.0, costs.noise) * stall, prompt)
        prices = budget.pieces.forward_seconds, budget.pieces.token_seconds, budget.relative(4, 16), budget.price(4)
        assert all(0 <= price < 1e6 for price in prices)
        assert budget.relative(4, 16) > 0
        assert 0 <= budget.piece(4) < 1e6


@pytest.mark.parametrize("seed", range(20))
def test_late_prompts_behind_answers_of_dear_rows(seed):
    choose, budget = random.Random(seed), RowBudget()
    for _ in range(25):
        rows = choose.choice([1, 2, 3, 4, 6])
        budget.observe(rows, rows * 1e-3 * choose.uniform(0.9, 1.1) + (4e-4 * rows if rows > 3 else 0))
    for seconds in [5e-3] * 20 + [30e-3] * 6 + [5e-3] * 20:
        budget.observe(0, seconds * choose.uniform(0.9, 1.1), 100)
        assert 0 < budget.pieces.token_seconds < 1
