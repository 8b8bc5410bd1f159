"""Reliability: predicted against actual, counted by hand."""

from __future__ import annotations

from reliability import Reliability

from hd_edge import _native


def tree_of(*nodes: tuple[int, float]) -> _native.DraftTree:
    tree = _native.DraftTree()
    tree.add(0, -1)
    for i, (parent, chance) in enumerate(nodes):
        tree.add(i + 1, parent, 1, chance)
    return tree


def test_nodes_are_counted_by_decile_of_their_chance():
    reliability = Reliability()
    for i in range(10):
        reliability.count(tree_of((0, 0.75), (1, 0.35)), [0, 1, 2] if i < 2 else [0, 1] if i < 7 else [0])
    told = reliability.to_dict()
    assert told["nodes"] == [0, 0, 0, 10, 0, 0, 0, 10, 0, 0]
    assert (told["predicted"][7], told["actual"][7]) == (0.75, 0.7)
    assert (told["predicted"][3], told["actual"][3]) == (0.35, 0.2)
    assert abs(told["largest_gap"] - 0.15) < 1e-6


def test_a_decile_of_few_nodes_does_not_make_the_gap():
    reliability = Reliability()
    for _ in range(500):
        reliability.count(tree_of((0, 0.999)), [0, 1])
    reliability.count(tree_of((0, 0.5)), [0])
    assert reliability.to_dict()["largest_gap"] < 0.01


def test_steps_without_a_draft_and_nodes_beyond_the_end_do_not_count():
    reliability = Reliability()
    reliability.count(tree_of(), [0])
    reliability.count(tree_of((0, 0.9), (1, 0.8)), [0, 1], deepest=1)
    assert sum(reliability.to_dict()["nodes"]) == 1
    assert Reliability().to_dict()["largest_gap"] == 0.0
