"""Random draft trees."""

from __future__ import annotations

import numpy as np

from hd_edge import _native


def random_tree(root: int, steps: int, leaves: int, seed: int) -> _native.DraftTree:
    """A tree of at most ``steps`` nodes beside its root and ``leaves`` leaves, tokens from 3 to 499."""
    rng = np.random.default_rng(seed)
    tree = _native.DraftTree()
    tree.add(root, -1)
    path = [0]
    for _ in range(steps):
        while len(path) > 1 and rng.random() < 0.4:
            path.pop()
        token = int(rng.integers(3, 500))
        if tree.child(path[-1], token) < 0 and (path[-1] == len(tree) - 1 or tree.leaves < leaves):
            path.append(tree.add(token, path[-1], 1, 0.5))
    return tree
