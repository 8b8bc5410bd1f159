"""A vocabulary to build for."""

from __future__ import annotations

import pytest
from vocabularies import write_vocabulary


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_vocabulary(tmp_path_factory.mktemp("vocabulary") / "tiny.gguf")
