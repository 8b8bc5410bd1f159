"""Texts that never end are refused, wherever a command reads one whole."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from hd_edge.cli.keyboard import Keyboard
from hd_edge.errors import ConfigError
from hd_edge.model import text_file
from hd_edge.model.questions import read_questions

MOST = 100


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(text_file, "MOST", MOST)


class Endless(io.StringIO):
    """A line again and again, or one that has no end: who asks for all of it is told."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line

    def readline(self, size: int | None = -1) -> str:
        assert size is not None
        assert size >= 0
        return self.line[:size] if self.line.endswith("\n") else self.line * size


@pytest.fixture
def keyboard(monkeypatch):
    def on(stdin):
        monkeypatch.setattr(sys, "stdin", stdin)
        return Keyboard(None, {}, str)

    return on


def test_a_text_of_the_bound_is_read_and_a_longer_one_is_not(tmp_path):
    file = tmp_path / "a"
    file.write_bytes("ü\r\nb\rc\n".encode() + b"a" * (MOST - 8))
    assert text_file.read_path(file) == "ü\nb\nc\n" + "a" * (MOST - 8)
    file.write_bytes(b"a" * (MOST + 1))
    with pytest.raises(ConfigError, match=f"{file} has more than 100 bytes.*: give a shorter text"):
        text_file.read_path(file)


def test_what_never_ends_is_not_read_whole():
    with (
        Path("/dev/zero").open(encoding="utf-8") as zero,
        pytest.raises(ConfigError, match="zero has more than 100 bytes"),
    ):
        text_file.read_whole(zero, "zero")


def test_what_is_no_text_is_told_with_its_place(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"caf\xe9")
    with pytest.raises(UnicodeDecodeError, match="byte 0xe9 in position 3"):
        text_file.read_path(file)


@pytest.mark.parametrize(
    ("first", "then"),
    [("", "\0"), ('"""\n', "a\n"), ('"""\n', "\n"), ("", "a\\\n")],
    ids=["a line", "a block", "a block of nothing", "a line that goes on"],
)
def test_a_chat_refuses_what_never_ends(keyboard, first, then):
    stdin = Endless(then)
    board = keyboard(stdin)
    given = iter([first] if first else [])
    after = stdin.readline
    stdin.readline = lambda size: next(given, None) or after(size)
    with pytest.raises(ConfigError, match="on stdin has more than 100 characters"):
        board.read()


def test_a_chat_reads_lines_to_the_end(keyboard):
    board = keyboard(io.StringIO('one\n\n"""\na\n b\n"""\nlast'))
    assert [board.read() for _ in range(5)] == ["one", "", "a\n b", "last", None]


def test_questions_are_bounded(tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"prompt": "a" * MOST}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"questions .*questions\.jsonl has more than 100 bytes"):
        read_questions(file)
