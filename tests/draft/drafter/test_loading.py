"""Which file a drafter's name stands for."""

from __future__ import annotations

import pytest

from hd_edge.cli.options import drafter_path
from hd_edge.config import DraftConfig
from hd_edge.draft.drafter import loading
from hd_edge.errors import ModelFileError


def test_demo_drafts_as_the_package_carries_it(smollm2, monkeypatch):
    """Not in Q4_0, as which it is run: rounding it once more costs a twentieth of what it foresees."""
    assert drafter_path("demo") == str(smollm2)
    monkeypatch.setattr(loading, "model_bytes", lambda path: 1 if path == str(smollm2) else 2)
    assert loading.check_drafter("demo", DraftConfig(), "target.gguf") == str(smollm2)


def test_other_names_are_those_of_models(models):
    assert drafter_path(str(models("Q8_0"))) == str(models("Q8_0"))
    with pytest.raises(ModelFileError, match="model file nothing does not exist"):
        drafter_path("nothing")


def test_no_drafter_is_none():
    assert drafter_path(None) is None
