"""Two chats in one session: nothing that either has said is lost."""

from __future__ import annotations

import json

import pytest
from talker import Talker

from hd_edge.cli.conversation import Conversation
from hd_edge.cli.session import Session
from hd_edge.cli.talk import Talk
from hd_edge.cli.ui import UI


@pytest.fixture
def chat(tmp_path):
    """Opens the session in one more chat; ``handle(text)`` is what a person types."""

    def start(*answers, name="work"):
        session = Session(tmp_path / "sessions" / f"{name}.json")
        talk = Talk(Conversation(Talker(*answers), "", {"max_tokens": 50}), UI(), False, True, session)
        if session.path.exists():
            talk.load(str(session.path))
        return talk

    return start


@pytest.fixture
def kept(tmp_path):
    """What each session holds."""

    def read():
        files = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "sessions").glob("*.json")}
        return {name: [turn["content"] for turn in json.loads(text)["messages"]] for name, text in files.items()}

    return read


def test_what_another_chat_has_kept_stays(chat, kept, capsys):
    one, other = chat("yes"), chat("no")
    one.handle("first")
    other.handle("second")
    one.handle("third")
    other.handle("fourth")
    assert kept() == {"work": ["first", "yes", "third", "yes"], "work-2": ["second", "no", "fourth", "no"]}
    told = [line for line in capsys.readouterr().err.splitlines() if "another chat" in line]
    assert told == ["another chat has gone on with this session: this one is kept as --session work-2"]
    again = chat("well", name="work-2")
    again.handle("fifth")
    assert kept()["work-2"] == ["second", "no", "fourth", "no", "fifth", "well"]
    assert len(kept()) == 2


def test_two_chats_that_go_on_from_one(chat, kept):
    chat("yes").handle("first")
    one, other, third = chat("a"), chat("b"), chat("c")
    for talk, text in ((one, "second"), (other, "third"), (third, "fourth")):
        talk.handle(text)
    start = ["first", "yes"]
    assert kept() == {
        "work": [*start, "second", "a"],
        "work-2": [*start, "third", "b"],
        "work-3": [*start, "fourth", "c"],
    }


def test_a_chat_that_said_nothing_new_keeps_nothing(chat, kept):
    one, other = chat("yes"), chat(None)
    one.handle("first")
    other.handle("second")  # stopped before its first word
    assert kept() == {"work": ["first", "yes"]}


def test_a_session_that_no_other_chat_has_changed_stays_one(chat, kept, tmp_path):
    talk = chat("yes", "no", "well")
    talk.handle("first")
    talk.handle("/regenerate")
    talk.handle(f"/save {tmp_path}/sessions/work.json")
    talk.handle("second")
    assert kept() == {"work": ["first", "no", "second", "well"]}
    (tmp_path / "sessions" / "work.json").unlink()
    talk.handle("third")
    assert list(kept()) == ["work"]


def test_what_is_no_conversation_is_left_alone(chat, kept, tmp_path):
    talk = chat("yes")
    talk.handle("first")
    (tmp_path / "sessions" / "work.json").write_text('{"notes": "mine"}')
    talk.handle("second")
    assert (tmp_path / "sessions" / "work.json").read_text() == '{"notes": "mine"}'
    (tmp_path / "sessions" / "work.json").unlink()
    assert kept() == {"work-2": ["first", "yes", "second", "yes"]}
