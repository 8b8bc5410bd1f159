"""What a person types: pastes, many lines, a history over sessions, and questions that no history keeps."""

from __future__ import annotations

import os
import sys

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from hd_edge.cli import keyboard
from hd_edge.cli.keyboard import Keyboard

COMMANDS = {"save": True, "system": False, "stats": False}


@pytest.fixture
def typing(monkeypatch, tmp_path):
    """Reads what is typed, each with a new keyboard, as after a restart; returns texts and notes."""
    monkeypatch.setattr("prompt_toolkit.output.create_output", lambda **_: DummyOutput())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    def read(keys, *, history=tmp_path / "history", ask=False):
        notes = []
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            pipe.send_text(keys)
            board = Keyboard(history, COMMANDS, notes.append)
            return (board.ask("? ") if ask else board.read()), notes

    return read


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("one line\r", "one line"),
        ("\x1b[200~a\r\nb\n\nc\n\x1b[201~\r", "a\nb\n\nc"),
        ("say: \x1b[200~x\ny\\\x1b[201~ now\r", "say: x\ny\\ now"),
        ("a\x1b\rb\r", "a\nb"),
        ("a\\\rb\r", "a\nb"),
        ('"""\ra\r\rb\r"""\r', "a\n\nb"),
        ("typed\x03new\r", "new"),
        ("\x04", None),
        ("/sy\t Be short.\r", "/system Be short."),
        ("/st\t\r", "/stats"),
        ("in \x1b[31mred\r", "in red"),  # what a terminal that is asked for the mouse would send
        ("in \x1b[<5m\x1b[1M red\r", "in  red"),
    ],
)
def test_one_text(typing, keys, text):
    assert typing(keys)[0] == text


def test_paths_are_completed_for_commands_that_take_one(typing, tmp_path):
    (tmp_path / "a long name.txt").touch()
    assert typing(f"/save {tmp_path}/a l\t\r")[0] == f"/save {tmp_path}/a long name.txt"
    assert typing(f"/system {tmp_path}/a l\t\r")[0] == f"/system {tmp_path}/a l"


def test_the_history_goes_over_sessions_for_its_owner_alone(typing, tmp_path):
    typing("first\nof two\r".replace("\n", "\x1b\r"))
    file = tmp_path / "history"
    assert file.stat().st_mode & 0o777 == 0o600
    assert typing("\x10\r")[0] == "first\nof two"  # Ctrl-P: the text before
    typing("no secret\r", ask=True)
    typing("x" * (keyboard.MOST_KEPT + 1) + "\r")
    assert file.read_text(encoding="utf-8").count("\n+") == 2
    assert "secret" not in file.read_text(encoding="utf-8")


def test_no_history_is_kept_where_none_is_wanted(typing, tmp_path):
    assert typing("secret\r", history=None) == ("secret", [])
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_a_question_is_no_answer(typing):
    assert typing("y\x03", ask=True)[0] == ""
    assert typing("\x04", ask=True)[0] == ""
    assert typing(" y \r", ask=True)[0] == "y"


def test_a_history_that_cannot_be_kept_ends_no_chat(typing, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for history in (tmp_path / "folder", tmp_path / "file" / "history"):
        text, notes = typing("hello\r", history=history)
        assert text == "hello"
        assert "the history is not kept" in notes[0]


def test_a_full_disk_ends_no_chat(typing, monkeypatch):
    def full(self, string):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prompt_toolkit.history.FileHistory.store_string", full)
    text, notes = typing("hello\r")
    assert text == "hello"
    assert "No space left on device" in notes[0]


@pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")
def test_a_prompt_that_a_signal_ends_at_its_begin_leaves_the_terminal_as_it_was(monkeypatch):
    """prompt_toolkit has changed it, and does not know yet that it is to change it back."""
    import termios
    import tty

    master, slave = os.openpty()
    with open(slave) as stdin:  # noqa: PTH123  a descriptor

        class Session:
            @staticmethod
            def prompt(_):
                tty.setraw(slave)
                raise SystemExit(128)

        monkeypatch.setattr("sys.stdin", stdin)
        typed = Keyboard(None, {}, print)
        typed._session = Session()
        before = termios.tcgetattr(slave)
        with pytest.raises(SystemExit):
            typed.read()
        assert termios.tcgetattr(slave) == before
    os.close(master)
