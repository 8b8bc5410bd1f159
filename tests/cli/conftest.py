"""The command line in a terminal, and in a home of its own."""

from __future__ import annotations

import pytest
from children import HD_EDGE
from terminal import Terminal


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder."""
    for name in ("OLLAMA_MODELS", "LLAMA_CACHE", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path / "hd_edge"))
    return tmp_path


@pytest.fixture
def terminal(opened):
    """Runs a command in a pseudo-terminal."""

    def start(*arguments, columns=100, **env):
        return opened(Terminal([*HD_EDGE, *map(str, arguments)], env, columns=columns))

    return start
