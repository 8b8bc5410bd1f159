"""kill -9 while a store is pruned or merged, or a statistics tier is built: what was there is there, and right.

Kills while answers are learned and prefixes are saved: test_store_processes.py here and in ``prefix``.
"""

from __future__ import annotations

import sys

import pytest
from children import printed

SCENARIOS = ("learning", "creating", "pruning", "migrating", "statistics")

pytestmark = pytest.mark.skipif(not hasattr(sys, "getdlopenflags"), reason="needs fork and SIGKILL")


def kill(folder, survival, scenario, kills, seed):
    survival.what = f"kill -9 while {scenario}"
    with survival.case(kills):
        return int(printed("killed_child.py", folder, scenario, kills, seed))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_few_kills(tmp_path, survival, scenario):
    kill(tmp_path, survival, scenario, 4, seed=1)


@pytest.mark.kill
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_many_kills(tmp_path, survival, scenario):
    within = kill(tmp_path, survival, scenario, 100, seed=2)
    assert within >= 10  # or they came too late
