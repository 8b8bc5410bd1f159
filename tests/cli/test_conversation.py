"""A conversation behind the chat: a full context, and its file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from one_model import ONE

from hd_edge import ConfigError, ContextFullError, Llama
from hd_edge.cli.conversation import Conversation
from hd_edge.cli.talk import Talk
from hd_edge.cli.ui import UI

SETTINGS = {"max_tokens": 24, "temperature": 0.0}


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    with Llama(str(smollm2_q4_0), n_ctx=512, exact=True, **ONE) as llm:
        yield llm


def test_the_oldest_turns_go_when_the_context_is_full(llm):
    talk = Conversation(llm, "Be short.", dict(SETTINGS))
    for number in range(12):
        pieces = list(talk.ask(f"Number {number}: tell me something about the colour of the sky at noon, please."))
        assert pieces
        assert len(talk.turns) == 2 * number + 2
    assert talk.dropped > 0
    assert talk.dropped % 2 == 0
    sent = talk.messages(talk.turns)
    assert sent[0] == {"role": "system", "content": "Be short."}
    assert sent[1]["role"] == "user"
    assert sent[-2]["content"].startswith("Number 11")


def test_a_question_that_never_fits_is_taken_back(llm):
    talk = Conversation(llm, "", dict(SETTINGS))
    list(talk.ask("Hi."))
    with pytest.raises(ContextFullError, match="context window 512"):
        list(talk.ask("word " * 700))
    assert [turn["role"] for turn in talk.turns] == ["user", "assistant"]
    assert list(talk.ask("Hi."))


def test_a_saved_file_of_another_kind_is_refused(llm, tmp_path):
    talk = Conversation(llm, "", {})
    for text in (
        "",
        "[]",
        '{"messages": [{"role": "user"}]}',
        '{"system": "", "messages": [{"role": 1, "content": 2}]}',
        '{"system": "\\ud800", "messages": []}',
        '{"system": "", "messages": [{"role": "user", "content": "\\ud800"}]}',
        "[" * 100_000,
    ):
        file = tmp_path / "talk.json"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"talk\.json"):
            talk.load(file)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no json", "it is no JSON, from line 1, column 1 on"),
        (b"\xff", "it is no UTF-8 text: byte 0xff at 0"),
        (b'{"system": ""}', "it has no 'messages'"),
        (b'{"system": "", "messages": [1]}', "it is not of the form"),
        (b'{"system": "\\ud800", "messages": []}', "half a surrogate pair"),
        (b"[" * 100_000, "too many lists or objects"),
    ],
)
def test_why_a_file_is_no_conversation(tmp_path, data, why):
    file = tmp_path / "talk.json"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=r"talk\.json is no conversation") as caught:
        Conversation(None, "", {}).load(file)
    assert why in str(caught.value)


def test_names_that_no_file_can_have_end_no_chat(llm, capsys, monkeypatch):
    lines = iter(["/save \0", "/load \0", "/load /no/such/file", "/save /no/such/file", "/exit"])
    monkeypatch.setattr(sys.stdin, "readline", lambda _: next(lines) + "\n")
    Talk(Conversation(llm, "", {}), UI(), False, True).run()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert said[:2] == ["'\\x00' has a null byte, which no name of a file can have: leave it out"] * 2
    assert said[2:] == ["/no/such/file: No such file or directory"] * 2


FOREIGN_FILES = {"text": b"my thesis", "model": b"GGUF\0\0", "other json": b'{"messages": 3}', "nothing": b""}


@pytest.mark.parametrize("kind", FOREIGN_FILES)
def test_save_replaces_saved_conversations_only(tmp_path, kind):
    mine, foreign = tmp_path / "mine.json", tmp_path / "foreign"
    foreign.write_bytes(FOREIGN_FILES[kind])
    talk = Conversation(None, "be short", {})
    talk.save(mine)
    talk.turns = [{"role": "user", "content": "hello"}]
    talk.save(mine)
    assert json.loads(mine.read_text())["messages"] == talk.turns
    with pytest.raises(ConfigError, match="is no conversation saved by /save"):
        talk.save(foreign)
    assert foreign.read_bytes() == FOREIGN_FILES[kind]


def test_what_is_no_regular_file_is_neither_saved_to_nor_loaded(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, tmp_path):
        for use in (Conversation(None, "", {}).save, Conversation(None, "", {}).load):
            with pytest.raises(ConfigError, match="no regular file"):
                use(path)
    assert pipe.is_fifo()
    with pytest.raises(ConfigError, match="no regular file"):
        Conversation(None, "", {}).load(Path("/dev/zero"))
