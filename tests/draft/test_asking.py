"""When the drafter is asked: where it brings more than it costs, and not otherwise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from planned import FLAT, STEEP, VOCAB, decode, noise, repeating

from hd_edge import _native
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.drafter.tier import Word
from hd_edge.draft.tree_planner import TreePlanner

SHARE = 0.04  # of a forward, for each word


class Small:
    """A drafter that says the text's next token, or another one.

    Args:
        text: The whole conversation.
        right: How many of its words are right.
        chance: What it says of them.
        price: Of a word, in forwards.
    """

    def __init__(self, text, right: float, chance: float, price: float = SHARE) -> None:
        self.text, self.right, self.chance, self.share = text.tolist(), right, chance, price
        self.reader = SimpleNamespace(seconds=0.0, reads=0)
        self.rng = np.random.default_rng(3)
        self.known = 0

    def begin(self, tokens) -> None:
        self.known = len(tokens)

    def append(self, tokens) -> None:
        self.known += len(tokens)

    def say(self, path) -> list[Word]:
        self.reader.seconds += self.share  # the curve's seconds are forwards
        self.reader.reads += 1
        at = self.known + len(path)
        if at >= len(self.text) or self.text[self.known : at] != list(path):
            return [Word(tuple(path), 0, 0.2, _native.Said.first)]
        token = self.text[at] if self.rng.random() < self.right else (self.text[at] + 1) % VOCAB
        return [Word(tuple(path), token, self.chance, _native.Said.first)]


def run(text, small=None, table=FLAT, at: int = 100):
    """Decodes; returns what each step cost in forwards, its tokens, and the planner."""
    planner = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve.of(table), drafter=small)
    costs, tokens, learn = [], [], planner.learn

    def watch(step):
        spent = planner.asking.spent if planner.asking is not None else 0.0
        costs.append(step.seconds + spent)
        tokens.append(len(step.tokens))
        learn(step)

    planner.learn = watch
    decode(planner, text, at)
    return np.array(costs), np.array(tokens), planner


def after(costs, tokens, first: int) -> float:
    """Tokens per cost behind the first tokens."""
    late = np.cumsum(tokens) > first
    return tokens[late].sum() / costs[late].sum()


def test_one_that_is_right_is_asked_and_pays():
    text = noise(1500)
    costs, tokens, planner = run(text, Small(text, 0.9, 0.9))
    assert tokens.sum() / len(tokens) > 3
    assert tokens.sum() / costs.sum() > 2
    assert planner.asking.words


def test_better_than_either_alone():
    """Half of the text repeats itself, half is new: the context knows the one, the drafter the other."""
    rng = np.random.default_rng(4)
    known = rng.integers(0, VOCAB, 40)
    parts = [part for _ in range(20) for part in (known, rng.integers(0, VOCAB, 40))]
    text = np.concatenate(parts).astype(np.int32)
    alone = run(text)
    costs, tokens, _ = run(text, Small(text, 0.6, 0.6))
    assert tokens.sum() / costs.sum() > 1.15 * alone[1].sum() / alone[0].sum()


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.95], ids=["timid", "unsure", "sure of itself"])
@pytest.mark.parametrize("text", [noise(2500), repeating()], ids=["noise", "repeating"])
@pytest.mark.parametrize("table", [FLAT, STEEP], ids=["flat", "steep"])
def test_a_hopeless_one_is_left_alone(chance, text, table):
    small = Small(text, 0.0, chance)
    costs, tokens, _ = run(text, small, table)
    without = run(text, None, table)
    assert after(costs, tokens, 200) >= 0.98 * after(*without[:2], 200)
    assert small.reader.reads < 0.35 * len(tokens)


def test_it_is_not_asked_where_the_context_is_sure():
    text = repeating()
    small = Small(text, 1.0, 0.99)
    _, tokens, _ = run(text, small)
    assert small.reader.reads < 0.1 * len(tokens)


def test_a_dear_one_is_not_asked():
    text = noise(1200)
    small = Small(text, 0.6, 0.6, price=1.0)
    _, tokens, _ = run(text, small)
    assert small.reader.reads < 0.05 * len(tokens)


def test_it_is_asked_again_once_it_is_right():
    """Another language for 1,000 tokens, then its own."""
    text = noise(4000)
    small = Small(text, 0.0, 0.9)
    planner = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve.of(FLAT), drafter=small)
    decode(planner, text[:1200], 100)
    small.right = 0.95
    before = small.reader.reads
    rows = decode(planner, text, 1200)
    assert small.reader.reads - before > 200
    assert len(rows) < 0.7 * (len(text) - 1200)


def test_nothing_is_asked_before_costs_are_known():
    text = noise(400)
    small = Small(text, 1.0, 0.99)
    planner = TreePlanner(VOCAB, DraftConfig(), cost=CostCurve(), drafter=small)
    planner.begin(text[:100], np.empty(0, np.int32))
    assert len(planner.plan(int(text[99]), 16, 8)) == 1
    assert small.reader.reads == 0


@pytest.mark.parametrize("table", [{1: 1.0, 2: 9.0, 4: 1.1}, {1: 1.0, 8: 9.0}, FLAT], ids=["saw", "dear", "flat"])
def test_asking_ends_whatever_the_curve(table):
    """Each word is asked for once, also where a larger tree is cheaper than the one that is there."""
    text = noise(300)
    small = Small(text, 0.5, 0.9, price=0.0)
    said = small.say
    asked: list[tuple[int, ...]] = []

    def say(path):
        asked.append((small.known, *path))
        return said(path)

    small.say = say
    run(text, small, table)
    assert len(asked) == len(set(asked))
