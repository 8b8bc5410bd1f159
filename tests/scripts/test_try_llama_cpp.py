"""Admitting a release of llama-cpp-python: the files that pin it, as they are now."""

from __future__ import annotations

from pathlib import Path

import pytest
from try_llama_cpp import API, KERNELS, LIBRARY, PROJECT, admitted

ROOT = Path(__file__).parents[2]


def test_a_release_is_admitted_in_every_place():
    texts = {name: (ROOT / name).read_text("utf-8") for name in (API, LIBRARY, KERNELS, PROJECT)}
    new = admitted(texts, "0.3.99", {"llama_version": "7.7-dev", "ggml_version": "8.8"})
    assert "(0, 3, 100))" in new[API]
    assert '<0.3.100",' in new[PROJECT]
    assert '"0.3.99")' in new[KERNELS]
    assert '"0.3.99": {"llama_version": "7.7", "ggml_version": "8.8"},' in new[LIBRARY]
    assert set(texts[LIBRARY].splitlines()) < set(new[LIBRARY].splitlines()), "those admitted before stay"
    older = admitted(texts, "0.3.1", {})
    assert "TESTED = ((0, 3, 1), (0, 3, 37))" in older[API]
    assert "llama-cpp-python>=0.3.1,<0.3.37" in older[PROJECT]
    with pytest.raises(ValueError, match="has no TESTED"):
        admitted(texts | {API: ""}, "0.3.99", {})
