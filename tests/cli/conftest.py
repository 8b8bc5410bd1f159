"""The command line in a terminal and in a home of its own; a vocabulary, and a store of a model that has it."""

from __future__ import annotations

import pytest
from children import HD_EDGE
from store_helpers import answer
from terminal import Terminal
from vocabularies import write_vocabulary

from hd_edge import _native
from hd_edge.model.vocabulary import identify
from hd_edge.model.vocabulary_file import vocabulary_of
from hd_edge.store.safety import default_path
from hd_edge.store.store import Store


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


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A vocabulary's file, and an empty home."""
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path / "home"))
    return write_vocabulary(tmp_path / "tiny.gguf")


@pytest.fixture
def identity(model):
    """Of that model."""
    with vocabulary_of(model) as loaded:
        return identify(loaded)


@pytest.fixture
def store(identity, tmp_path):
    """A model's store with three answers."""
    path = default_path(identity)
    with Store(path, identity) as opened:
        counter = _native.AnswerCounter(identity.n_vocab)
        for seed in range(3):
            opened.add(dict(counter.records(answer(seed), 0)), counters={"model.drafted": 4, "model.accepted": 3})
    return path
