"""``/edit``: a file that a model changes, and that a person's word alone lets it change."""

from __future__ import annotations

import os
import sys

import pytest
from talker import Talker

from hd_edge import ConfigError
from hd_edge.cli.conversation import Conversation
from hd_edge.cli.edit import Edit
from hd_edge.cli.talk import Talk
from hd_edge.cli.ui import UI

OLD = "Meet on Monday.\nBring cake.\n"
NEW = "Meet on Friday.\nBring cake.\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(OLD, encoding="utf-8")
    path.chmod(0o640)
    return path


@pytest.fixture
def chat(monkeypatch, capsys):
    """Runs a chat with these lines; returns what it said and the conversation."""

    def run(model, *lines):
        typed = iter([*lines, "/exit"])
        monkeypatch.setattr("builtins.input", lambda _: next(typed))
        monkeypatch.setattr(sys.stdin, "readline", lambda _: next(typed) + "\n")
        talk = Talk(Conversation(model, "", {"max_tokens": 50, "temperature": 0.8}), UI(), False, False)
        talk.run()
        return capsys.readouterr().err, talk.conversation

    return run


def test_the_model_gets_the_text_as_prediction_and_a_yes_writes_it(file, chat):
    model = Talker(NEW)
    said, conversation = chat(model, f"/edit {file}", "Friday instead of Monday", "y")
    ((messages, settings),) = model.calls
    assert OLD in messages[0]["content"]
    assert "Friday instead of Monday" in messages[0]["content"]
    assert settings["prediction"] == {"type": "content", "content": OLD}
    assert (settings["temperature"], settings["max_tokens"]) == (0.0, 2 * len(OLD) + 512)
    for line in ("-Meet on Monday.", "+Meet on Friday.", " Bring cake.", f"wrote {file}"):
        assert line in said.splitlines()
    assert file.read_text(encoding="utf-8") == NEW
    assert file.stat().st_mode & 0o777 == 0o640
    assert conversation.turns == []
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("word", ["n", "", "no", "yess"])
def test_anything_but_a_yes_leaves_the_file_alone(file, chat, word):
    said, _ = chat(Talker(NEW), f"/edit {file}", "Friday", word)
    assert f"{file} is as it was" in said
    assert file.read_text(encoding="utf-8") == OLD


@pytest.mark.parametrize(
    ("model", "lines", "told"),
    [
        (Talker(NEW, finish="length"), ["Friday"], "the new text was far too long"),
        (Talker(OLD), ["Friday"], "the model changed nothing"),
        (Talker(NEW), [""], "nothing was asked for"),
    ],
    ids=["cut", "unchanged", "no change asked for"],
)
def test_what_is_not_worth_a_question(file, chat, model, lines, told):
    said, _ = chat(model, f"/edit {file}", *lines)
    assert told in said
    assert file.read_text(encoding="utf-8") == OLD


def test_a_file_that_changed_meanwhile_is_left_alone(file):
    edit = Edit(file)
    assert edit.ask(Talker(NEW), "Friday", {})
    file.write_text("mine\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="has changed while the model wrote"):
        edit.write()
    assert file.read_text(encoding="utf-8") == "mine\n"


@pytest.mark.parametrize(
    ("old", "answer", "new"),
    [
        ("a\n", "```text\nb\n```", "b\n"),
        ("a", "b\n\n", "b"),
        ("a\r\nb\r\n", "c\nb", "c\r\nb\r\n"),
        ("```\na\n```\n", "```\nb\n```", "```\nb\n```\n"),
        ("a\r\nb\n", "c\nb\n", "c\r\nb\n"),
        ("a\r\nb\r\nc\nd", "a\r\nnew\r\nc\r\nd", "a\r\nnew\r\nc\nd"),
        ("a\nb\r\n}\nc\r\n}\n", "a\n}\nc\n}\ne\n", "a\n}\nc\r\n}\ne\n"),
        ("a\r\nb", "a\nb\nc", "a\r\nb\r\nc"),
        ("", "b\nc", "b\nc"),
        ("a\rb\x0b\r\r\nc\u2028\x85\n", "a\rb\x0b\r\nd\n", "a\rb\x0b\r\r\nd\n"),
    ],
    ids=[
        "fenced",
        "without a last line break",
        "line breaks of Windows",
        "a fence of its own",
        "of both kinds",
        "of both kinds, and of Windows from the model",
        "lines that are gone and new",
        "a new last line",
        "an empty file",
        "what else Python takes for a line break",
    ],
)
def test_the_new_text_is_like_the_old(tmp_path, old, answer, new):
    file = tmp_path / "file"
    file.write_bytes(old.encode())
    edit = Edit(file)
    edit.ask(Talker(answer), "b", {})
    edit.write()
    assert file.read_bytes() == new.encode()


@pytest.mark.parametrize(
    ("old", "answer", "shown"),
    [
        ("a\r\nb\nc\r\n", "a\nd\nc\n", [" a\\r", "-b", "+d", " c\\r"]),
        ("a\r\nb\r\n", "a\nd\n", [" a", "-b", "+d"]),
        ("a b\n", "a\u2028b\n", ["-a b", "+a\\u2028b"]),
        ("a\x0bb\x0cc\x85d\ne\n", "abcd\ne\n", ["-a\\x0bb\\x0cc\\x85d", "+abcd", " e"]),
        ("a\n", "\x1b[2Ka\tb\u202ec\rd\n", ["-a", "+\\x1b[2Ka\tb\\u202ec\\rd"]),
    ],
    ids=["line breaks of both kinds", "of Windows", "a line separator", "other separators", "a terminal's own"],
)
def test_the_diff_shows_all_that_is_written(tmp_path, chat, old, answer, shown):
    file = tmp_path / "file"
    file.write_bytes(old.encode())
    said, _ = chat(Talker(answer), f"/edit {file}", "d", "y")
    lines = said.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("@@"))
    assert lines[start + 1 : start + 1 + len(shown)] == shown


def test_a_name_cannot_forge_a_line_of_the_diff(tmp_path, capsys):
    file = tmp_path / "a\n+b\x1b[2K"
    file.write_text("old\n", encoding="utf-8")
    edit = Edit(file)
    edit.ask(Talker("new"), "new", {})
    capsys.readouterr()
    UI(styled=False).diff(edit.diff())
    assert capsys.readouterr().err.splitlines() == [
        f"--- {tmp_path}/a\\n+b\\x1b[2K",
        "+++ new",
        "@@ -1 +1 @@",
        "-old",
        "+new",
    ]


def test_a_link_stays_one(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    edit = Edit(link)
    edit.ask(Talker(NEW), "Friday", {})
    edit.write()
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == NEW


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * (2**20 + 1))
    for name, why in (("bytes", "no UTF-8 text"), ("pipe", "no regular file"), ("large", "no regular file of at most")):
        with pytest.raises(ConfigError, match=why):
            Edit(tmp_path / name)
