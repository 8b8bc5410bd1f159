"""The rooms: what lies at the top, and how many modules one reads from any door down to the ground."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import grimp

import hd_edge

LONGEST_CHAIN = 8
MODULES_AT_THE_TOP = 8


def test_no_import_chain_is_long():
    graph = grimp.build_graph("hd_edge", exclude_type_checking_imports=True, cache_dir=None)

    @cache
    def chain(module: str) -> tuple[str, ...]:
        below = [chain(other) for other in graph.find_modules_directly_imported_by(module)]
        return (module, *max(below, key=len, default=()))

    longest = max((chain(module) for module in graph.modules), key=len)
    assert len(longest) <= LONGEST_CHAIN, " -> ".join(longest)


def test_few_modules_lie_at_the_top():
    package = Path(hd_edge.__file__).parent
    assert len(list(package.glob("*.py"))) <= MODULES_AT_THE_TOP
