"""Conversations that are saved at the same moment, under long names, through links, and with a mark of byte order."""

from __future__ import annotations

import json
import threading

import pytest
from talker import Talker

from hd_edge.cli import conversation
from hd_edge.cli.conversation import Conversation, alone, read
from hd_edge.cli.session import Session
from hd_edge.cli.streams import sentence
from hd_edge.errors import StoreBusyError
from hd_edge.model import lock


def said(*texts):
    talk = Conversation(Talker("x"), "", {})
    talk.turns = [{"role": role, "content": text} for text in texts for role in ("user", "assistant")]
    return talk


def test_two_that_save_at_the_same_moment_take_turns(tmp_path, monkeypatch):
    """The second looks at what stands there when the first is done."""
    path, looked, may_write = tmp_path / "talk.json", threading.Event(), threading.Event()
    said("old").save(path)
    new_text = conversation.new_text

    def slow(*arguments, **more):
        looked.set()
        assert may_write.wait(20)
        return new_text(*arguments, **more)

    monkeypatch.setattr(conversation, "new_text", slow)
    first, second = (threading.Thread(target=said(name).save, args=(path,)) for name in ("first", "second"))
    first.start()
    assert looked.wait(20)
    second.start()
    second.join(0.5)  # long enough to go wrong where nothing holds it back
    may_write.set()
    first.join()
    second.join()
    assert {json.loads(file.read_text())["messages"][0]["content"] for file in tmp_path.glob("*.json")} == {
        "old",
        "first",
        "second",
    }


def test_a_session_and_a_save_have_one_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "WAIT", 0.0)
    session = Session(tmp_path / "sessions" / "work.json")
    with alone():
        for use in (lambda: said("a").save(tmp_path / "a.json"), lambda: session.keep(said("a"))):
            with pytest.raises(StoreBusyError):
                use()
    assert not list(tmp_path.glob("**/*.json"))


def test_without_a_folder_of_ours_a_conversation_is_saved(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path / "file"))
    said("a").save(tmp_path / "a.json")
    assert read(tmp_path / "a.json").turns[0]["content"] == "a"


def test_what_a_linked_session_held_is_a_session(tmp_path):
    """The name that is told is one that ``--session`` finds; the file that is linked to has the new conversation."""
    cloud, sessions = tmp_path / "cloud", tmp_path / "sessions"
    cloud.mkdir()
    sessions.mkdir()
    said("old").save(cloud / "w.json")
    (sessions / "work.json").symlink_to(cloud / "w.json")
    told = Session(sessions / "work.json").keep(said("new"))
    name = told.rpartition("--session ")[2]
    assert read(sessions / f"{name}.json").turns[0]["content"] == "old"
    assert (sessions / "work.json").is_symlink()
    assert read(cloud / "w.json").turns[0]["content"] == "new"
    assert [path.name for path in cloud.iterdir()] == ["w.json"]


def test_a_name_that_is_too_long_is_told_by_itself(tmp_path):
    path = tmp_path / ("a" * 300)
    with pytest.raises(OSError, match="too long") as caught:
        said("a").save(path)
    assert sentence(caught.value).startswith(str(path))


def test_a_mark_of_byte_order_is_read_over(tmp_path):
    path = tmp_path / "windows.json"
    said("a").save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path).turns[0]["content"] == "a"
