"""Sampled tokens have the target's distribution, whatever the tree: chi-square tests on a toy vocabulary.

Beside the seed tests (same seed, same tokens): those would not notice a rule that is wrong in the same way twice. Each
case fails by chance with probability 1e-4 (eight cases: 8e-4 together), and the seeds are fixed, so a pass stays one.
"""

from __future__ import annotations

from types import SimpleNamespace

import fake_target
import numpy as np
import pytest
from fake_target import N_VOCAB, FakeTarget
from scipy.stats import chi2

from hd_edge.draft.planner import root_alone
from hd_edge.engine.decode import Decoder
from hd_edge.stats import GenerationStats

FALSE_ALARM = 1e-4
LENGTH = 60  # tokens per generation
STATES = 2  # the next token's distribution depends on the parity of the last one


def distributions(seed=3):
    """One distribution per state, some tokens rare."""
    return np.random.default_rng(seed).dirichlet(np.full(N_VOCAB, 0.8), STATES)


P = distributions()


def state(token):
    return int(token) % STATES


@pytest.fixture(autouse=True)
def markov(monkeypatch):
    """The fake target's logits follow P; the KV cache's rules stay."""
    rows = np.log(P).astype(np.float32)
    monkeypatch.setattr(fake_target, "logits_of", lambda prefix: rows[state(prefix[-1])])


class Drawing:
    """Draws from the softmax of a row: what a chain of one dist sampler does."""

    def __init__(self, verifier, rng):
        self.verifier, self.rng = verifier, rng

    def sample(self, node):
        return self.from_row(self.verifier.logits(node))

    def from_row(self, row):
        weights = np.exp(row.astype(np.float64))
        return int(np.searchsorted(np.cumsum(weights) / weights.sum(), self.rng.random(), side="right"))


class First:
    """The draw after the prefill."""

    def __init__(self, target, drawing):
        self.target, self.drawing = target, drawing

    def sample_row(self, row):
        return self.drawing.from_row(self.target.rows[row])


class Likeliest:
    """Drafts the likeliest `children` tokens below every node, two levels deep: where a wrong rule is most wrong."""

    def __init__(self, children, depth):
        self.children, self.depth = children, depth

    def begin(self, tokens, prediction):
        pass

    def plan(self, root, max_rows, max_leaves):
        self.tree = root_alone(root)
        self.grow(0, root, self.depth)
        return self.tree

    def grow(self, node, token, depth):
        for child in np.argsort(-P[state(token)])[: self.children]:
            below = self.tree.add(int(child), node, 1, 0.5)
            if depth > 1:
                self.grow(below, int(child), depth - 1)

    def learn(self, step):
        pass


def draw(children, depth, count, sampler=Drawing, seed=0):
    """`count` tokens in generations of LENGTH, one per row; the first column is the prompt's last token."""
    rng = np.random.default_rng([seed, children, depth])
    texts, accepted = [], 0
    for _ in range(-(-count // LENGTH)):
        target = FakeTarget(n_ctx=LENGTH + 40, n_batch=32)
        verifier = target.verifier(max_rows=32, max_sequences=16)
        target.eval([1, 2])
        planner = Likeliest(children, depth)
        drawing = sampler(verifier, rng)
        drawing.planner = planner
        stats = GenerationStats()
        draws = SimpleNamespace(first=First(target, Drawing(verifier, rng)), node=drawing)
        generation = Decoder(target, verifier, planner, draws, stats).run()
        texts.append([2, *(next(generation) for _ in range(LENGTH))])
        generation.close()
        accepted += sum(stats.accepted.values())
    assert accepted > count // 10  # drafts do take part
    return np.array(texts)


def p_value(observed, expected):
    """Chi-square over groups of cells; cells expecting fewer than 10 are put together."""
    statistic, freedom = 0.0, 0
    for seen, wanted in zip(observed, expected, strict=True):
        small = wanted < 10
        seen = np.append(seen[~small], seen[small].sum())
        wanted = np.append(wanted[~small], wanted[small].sum())
        seen, wanted = seen[wanted > 0], wanted[wanted > 0]
        statistic += float(((seen - wanted) ** 2 / wanted).sum())
        freedom += len(wanted) - 1
    return float(chi2.sf(statistic, freedom))


def single(texts):
    """p-value of each token given the one before."""
    before, after = texts[:, :-1].ravel(), texts[:, 1:].ravel()
    observed = np.array([np.bincount(after[before % STATES == s], minlength=N_VOCAB) for s in range(STATES)])
    return p_value(observed, observed.sum(1, keepdims=True) * P)


def pairs(texts):
    """p-value of two tokens in a row given the one before: a wrong path in the KV cache shows here."""
    before, first, second = texts[:, 0:-2:2].ravel(), texts[:, 1:-1:2].ravel(), texts[:, 2::2].ravel()
    joint = P[:, :, None] * P[np.arange(N_VOCAB) % STATES][None]  # [state, first, second]
    cells = first * N_VOCAB + second
    observed = np.array([np.bincount(cells[before % STATES == s], minlength=N_VOCAB**2) for s in range(STATES)])
    return p_value(observed, observed.sum(1, keepdims=True) * joint.reshape(STATES, -1))


COUNTS = [6000, pytest.param(50_000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("children", [1, 2, 3, 4])
def test_tokens_of_trees_with_siblings(children, count):
    assert single(draw(children, 1, count)) > FALSE_ALARM


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("children", [1, 2, 3, 4])
def test_pairs_of_tokens_of_trees_two_levels_deep(children, count):
    texts = draw(children, 2, count)
    assert pairs(texts) > FALSE_ALARM


class AcceptThenRedraw(Drawing):
    """Wrong on purpose: takes the likeliest child with its chance, else draws from all tokens again, not the rest."""

    def sample(self, node):
        row = self.verifier.logits(node)
        tree = self.planner.tree
        if node + 1 < len(tree) and tree.parent[node + 1] == node:
            child = int(tree.token[node + 1])
            if self.rng.random() < np.exp(row[child]):
                return child
        return self.from_row(row)


class SiblingsRow(Drawing):
    """Wrong on purpose: below the root it reads the row of the first branch."""

    def sample(self, node):
        return super().sample(min(node, 1))


@pytest.mark.parametrize("children", [1, 4])
def test_a_wrong_acceptance_rule_is_noticed(children):
    assert single(draw(children, 1, 6000, AcceptThenRedraw)) < FALSE_ALARM


def test_a_row_of_the_wrong_branch_is_noticed():
    assert pairs(draw(4, 2, 6000, SiblingsRow)) < FALSE_ALARM
