"""The page of models says what loading one of each shows."""

from __future__ import annotations

from pathlib import Path

import model_table
import pytest

from hd_edge.backend import kernels
from hd_edge.backend.memory import ROLLBACK, takes_back

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", model_table.KINDS, ids=lambda kind: f"{kind.shape} {dict(kind.settings)}")
def test_a_line_is_true(kind, tmp_path):
    if not kernels.enable().attention:
        pytest.skip("the page is of machines with kernels of ours")
    for types in kind.types:
        line = model_table.line(kind, types, tmp_path)
        architecture = line[0].strip("`")
        if architecture in ROLLBACK and not takes_back(architecture):
            pytest.skip(f"the page is of the newest release; this llama.cpp has no snapshots of {architecture}")
        assert f"| {' | '.join(line)} |" in PAGE, "run scripts/tools/model_table.py"


def test_page_is_the_scripts():
    assert PAGE.startswith(model_table.HEAD)
    assert PAGE.endswith(model_table.FOOT)
