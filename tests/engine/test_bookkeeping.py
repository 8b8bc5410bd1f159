"""Branches in the KV cache: llama.cpp walks every allocated cell at each call, so calls must be few."""

from __future__ import annotations

import numpy as np
import pytest
from fake_target import N_VOCAB, FakeTarget, logits_of

from hd_edge.draft.planner import root_alone

PROMPT = [3, 1, 4]
LEAVES = 8


class Counting(FakeTarget):
    """Counts the calls that walk all cells."""

    def __init__(self) -> None:
        self.walks = 0
        super().__init__()

    def _rm(self, *given) -> bool:
        self.walks += 1
        return super()._rm(*given)

    def _cp(self, *given) -> None:
        self.walks += 1
        super()._cp(*given)

    def _only(self, *given) -> None:
        self.walks += 1
        super()._only(*given)


@pytest.fixture
def begun():
    target = Counting()
    verifier = target.verifier(max_sequences=LEAVES)
    target.eval(PROMPT)
    verifier.begin(len(PROMPT))
    return target, verifier


def step(target, verifier, tree, path) -> int:
    """Decodes and commits; returns how many calls walked the cells."""
    before = target.walks
    assert verifier.decode(tree.token[:1], tree) == 0
    assert verifier.commit(np.array(path, np.int32)) == len(path)
    assert verifier.check_integrity() == ""
    return target.walks - before


def fan(root: int):
    """A root whose children are all leaves."""
    tree = root_alone(root)
    for child in range(LEAVES):
        tree.add(child, 0)
    return tree


def test_rejected_branches_are_dropped_by_one_call(begun):
    step(*begun, fan(5), [0])  # the trunk is copied to each branch once
    assert [step(*begun, fan(5), [0]) for _ in range(3)] == [1, 1, 1]
    target, _ = begun
    assert [token for _, token, _ in target.cells] == [*PROMPT, 5, 5, 5, 5]


def test_a_branch_keeps_what_it_shares_with_the_kept_path(begun):
    tree = root_alone(5)
    for parent, token in ((0, 1), (1, 2), (2, 3), (2, 4)):
        tree.add(token, parent)  # two leaves below a chain of three
    step(*begun, tree, [0, 1, 2])
    assert step(*begun, tree, [0, 1, 2]) == 1  # no copy: the second branch holds the whole trunk
    assert step(*begun, tree, [0]) == 1


def test_a_generation_ends_with_two_calls_however_many_branches_it_had(begun):
    target, verifier = begun
    step(*begun, fan(5), [0])
    before = target.walks
    verifier.release(verifier.n_past)
    assert target.walks - before == 2
    assert all(sequences == {0} for _, _, sequences in target.cells)


def test_rows_are_readable_until_the_next_forward(begun):
    target, verifier = begun
    tree = fan(5)
    step(*begun, tree, [0])
    for node in range(len(tree)):
        want = logits_of([*PROMPT, 5, *tree.token[1 : node + 1][-1:]] if node else [*PROMPT, 5])
        assert np.array_equal(verifier.logits(node), want)
    assert len(verifier.logits(0)) == N_VOCAB
    with pytest.raises(ValueError, match=f"node {len(tree)} is outside the decoded tree of {len(tree)} rows"):
        verifier.logits(len(tree))
    verifier.release(4)
    with pytest.raises(ValueError, match="of 0 rows"):
        verifier.logits(0)
