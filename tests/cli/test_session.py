"""A session, of one chat or two: nothing that was said there is lost."""

from __future__ import annotations

import json
import re

import pytest
from children import hd_edge
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


@pytest.fixture
def other(tmp_path):
    """A saved conversation of another kind."""
    turns = [{"role": "user", "content": "other"}, {"role": "assistant", "content": "thing"}]
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"system": "Be short.", "messages": turns}))
    return path


@pytest.mark.parametrize("command", ["/load {other}", "/reset"])
def test_what_a_session_held_is_kept_when_it_begins_anew(chat, kept, other, capsys, command):
    talk = chat("yes")
    talk.handle("first")
    talk.handle(command.format(other=other))
    assert kept() == {"work": ["first", "yes"]}
    talk.handle("next")
    (aside,) = kept().keys() - {"work"}
    assert re.fullmatch(r"work-\d{8}-\d{6}", aside)
    assert kept() == {aside: ["first", "yes"], "work": [turn["content"] for turn in talk.conversation.turns]}
    assert f"what this session held before is kept as --session {aside}" in capsys.readouterr().err
    for text in ("/regenerate", "more"):
        talk.handle(text)
    chat("well", name=aside).handle("second")
    assert kept().keys() == {aside, "work"}
    assert kept()[aside] == ["first", "yes", "second", "well"]


def test_several_within_a_second_are_all_kept(chat, kept):
    talk = chat("yes")
    for text in ("a", "/reset", "b", "/reset", "c"):
        talk.handle(text)
    assert sorted(kept().values()) == [["a", "yes"], ["b", "yes"], ["c", "yes"]]


def test_save_keeps_another_conversation_that_stands_there(chat, other, capsys):
    talk, before = chat("yes"), other.read_bytes()
    talk.handle("first")
    talk.handle(f"/save {other}")
    (aside,) = other.parent.glob("other-*.json")
    assert aside.read_bytes() == before
    assert f"another conversation stood there; it is kept as {aside}" in capsys.readouterr().err
    talk.handle("second")
    talk.handle(f"/save {other}")
    assert list(other.parent.glob("other-*.json")) == [aside]


ASKED, SAID = {"role": "user", "content": "first"}, {"role": "assistant", "content": "yes"}
HELD = {
    "another system prompt": {"system": "Be a pirate.", "messages": [ASKED]},
    "a system prompt alone": {"system": "Be a pirate.", "messages": []},
    "a field of somebody": {"system": "", "messages": [ASKED, SAID], "title": "Mine"},
    "a field of a message": {"system": "", "messages": [{**ASKED, "note": "mine"}]},
}


@pytest.mark.parametrize("kind", HELD)
def test_what_else_a_file_holds_is_kept_beside_it(chat, tmp_path, capsys, kind):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(HELD[kind]))
    talk = chat("yes")
    talk.handle("first")
    talk.handle(f"/save {file}")
    (aside,) = file.parent.glob("mine-*.json")
    assert json.loads(aside.read_text()) == HELD[kind]
    assert json.loads(file.read_text()) == {"system": "", "messages": [ASKED, SAID]}
    assert f"it is kept as {aside}" in capsys.readouterr().err
    talk.handle("second")
    talk.handle(f"/save {file}")
    assert list(file.parent.glob("mine-*.json")) == [aside]


@pytest.mark.parametrize("kind", HELD)
def test_what_else_a_session_holds_is_kept_beside_it(chat, other, tmp_path, capsys, kind):
    file = tmp_path / "sessions" / "work.json"
    file.parent.mkdir()
    file.write_text(json.dumps(HELD[kind]))
    talk = chat("yes")
    talk.load(str(other))
    talk.handle("next")
    (aside,) = file.parent.glob("work-*.json")
    assert json.loads(aside.read_text()) == HELD[kind]
    assert f"what this session held before is kept as --session {aside.stem}" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["/reset", "/system Be a pirate.", "/load {other}"])
def test_a_change_without_an_answer_is_told_at_the_end(chat, kept, other, capsys, monkeypatch, change):
    chat("yes").handle("first")

    def leave(*typed) -> bool:
        talk, lines = chat("yes"), iter([*typed, "/exit"])
        monkeypatch.setattr(talk.keyboard, "read", lambda: next(lines))
        talk.run()
        return "--session work stays as it was: what was changed here" in capsys.readouterr().err

    before = kept()
    assert leave(change.format(other=other))
    assert kept() == before
    assert not leave()
    assert not leave("second")
    assert not leave(change.format(other=other), "next")


def test_a_session_that_cannot_be_kept_is_told_and_the_chat_goes_on(chat, kept, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "sessions/work.json")

    talk = chat("yes")
    with monkeypatch.context() as patch:
        patch.setattr(Conversation, "write", full)
        talk.handle("first")
    assert talk.unkept
    assert "this answer is in no session yet: sessions/work.json: No space left on device" in capsys.readouterr().err
    talk.handle("second")
    assert not talk.unkept
    assert kept() == {"work": ["first", "yes", "second", "yes"]}


@pytest.mark.parametrize("system", ["Be a pirate.", ""])
def test_another_system_prompt_holds_from_now_on(chat, other, capsys, system):
    talk = chat("yes")
    talk.go_on(str(other), system)
    talk.handle("next")
    assert f"system prompt from now on: {system or '(none)'}, in place of Be short." in capsys.readouterr().err
    (asked, _), *_ = talk.conversation.llm.calls
    assert [message["content"] for message in asked if message["role"] == "system"] == [system][: bool(system)]
    talk = chat("yes")
    talk.go_on(str(other), None)
    assert "from now on" not in capsys.readouterr().err
    other.write_text('{"system": "", "messages": []}')
    talk.handle(f"/load {other}")
    assert "system prompt: (none)" in capsys.readouterr().err.splitlines()


def test_a_session_is_not_replaced_by_a_loaded_file(chat, kept, other, tmp_path):
    chat("yes").handle("first")
    home = {"HD_EDGE_HOME": str(tmp_path)}
    command = ["chat", "-m", "no-such-model", "--session", "work"]
    done = hd_edge(*command, "--load", str(other), stdin="", **home)
    assert done.returncode == 2
    assert "--session work has a conversation of 2 messages already" in done.stderr
    assert "type /load FILE" in done.stderr
    assert kept() == {"work": ["first", "yes"]}
    (tmp_path / "sessions" / "work.json").write_text('{"system": "x", "messages": []}')
    done = hd_edge(*command, "--load", str(other), stdin="", **home)
    assert "no-such-model" in done.stderr  # nothing would be lost


def test_through_a_pipe_an_answer_that_was_not_kept_is_a_failure(models, tmp_path):
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "work.json").symlink_to(tmp_path / "gone" / "work.json")
    command = ["chat", "-m", models("Q4_0"), "-t", "1", "-n", "4", "--session", "work", "--no-history"]
    done = hd_edge(*command, stdin="hello\n", HD_EDGE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "in no session yet" in done.stderr
