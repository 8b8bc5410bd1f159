"""What others wrote, in a terminal and in a pipe: a model's answers, conversations, names."""

from __future__ import annotations

import io
import json
import sys
import warnings
from types import SimpleNamespace

import pytest
from talker import Talker

from hd_edge.cli import generate as generate_verb
from hd_edge.cli import models, streams
from hd_edge.cli.conversation import Conversation
from hd_edge.cli.foreign import json_text, shown
from hd_edge.cli.generate import generate
from hd_edge.cli.talk import Talk
from hd_edge.cli.ui import UI

COMMANDS = ["\x1b]52;c;ZXZpbA==\x07", "\x9d52;c;ZXZpbA==\x9c", "\x9b31m", "\x90q\x9c", "\r", "\x07", "\x85", "\x7f"]
TURNS = ["\u202e", "\u202a", "\u2066", "\u2069"]
EVIL = "".join(f"a{text}" for text in [*COMMANDS, *TURNS])
LETTERS = "مرحبا שלום \u200fא\u200f 👩\u200d🚒 é\u0301\n\tok"


class Screen(io.StringIO):
    """A terminal that remembers what it was sent."""

    def isatty(self):
        return True


@pytest.fixture
def open_screen(monkeypatch):
    """Makes stdout and stderr one terminal; within the test, as pytest has streams of its own around it."""

    def make():
        made = Screen()
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, made)
        return made

    return make


@pytest.fixture
def generated(monkeypatch):
    """Runs ``hd-edge generate`` with a model that says what it is told to."""

    def run(text, *arguments):
        model = Talker(text)
        model.close = lambda: None
        monkeypatch.setattr(generate_verb, "load_llama", lambda _: model)
        generate.main(["-m", "x", "-p", "hello", "--chat", "-q", *arguments], standalone_mode=False)

    return run


def test_text_of_others_commands_no_terminal():
    controls = [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), *map(chr, range(0x202A, 0x202F))]
    controls += map(chr, range(0x2066, 0x206A))
    assert shown("".join(controls)) == "\t\n"
    assert shown(LETTERS) == LETTERS


def test_json_holds_the_same_text_and_commands_no_terminal():
    document = {"text": EVIL + LETTERS}
    assert json.loads(json_text(document)) == document
    assert shown(json_text(document, indent=1)) == json_text(document, indent=1)
    assert "é" in json_text(document)


@pytest.mark.parametrize("chatting", [False, True])
def test_a_model_cannot_command_a_terminal(generated, open_screen, chatting):
    screen = open_screen()
    if chatting:
        talk = Talk(Conversation(Talker(EVIL), "", {"max_tokens": 50}), UI(styled=True), True, True)
        talk.handle("hello")
    else:
        generated(EVIL)
    sent = screen.getvalue()
    assert "52;c" in sent
    assert "\x1b]" not in sent
    assert not set(sent) & set("\x9d\x9b\x9c\x90\x07\x85\x7f\u202e\u202a\u2066\u2069")


@pytest.mark.parametrize("chatting", [False, True])
def test_a_pipe_gets_the_models_text(generated, capsys, chatting):
    text = EVIL + "\x1b[31mred\x1b[0m" + LETTERS
    if chatting:
        Talk(Conversation(Talker(text), "", {"max_tokens": 50}), UI(), False, True).handle("hello")
    else:
        generated(text)
    assert capsys.readouterr().out == text + "\n"


def test_a_loaded_conversation_commands_no_terminal(tmp_path, open_screen, monkeypatch):
    screen = open_screen()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("hd_edge.cli.keyboard._sessions", lambda *_: (None, None))
    turns = [{"role": "user", "content": EVIL}, {"role": "assistant", "content": EVIL}]
    (tmp_path / "evil.json").write_text(json.dumps({"system": EVIL, "messages": turns}))
    talk = Talk(Conversation(Talker("x"), "", {}), UI(styled=True), False, True)
    talk.handle(f"/load {tmp_path}/evil.json")
    sent = screen.getvalue()
    assert sent.count("52;c") >= 3
    assert not set(sent) & set("\x9d\x9b\x9c\x90\x07\x85\x7f\u202e\u202a\u2066\u2069")


ENTITIES = "A&#x202e;cod.exe&#8238; B&#x2067;x `c&#x202e;` [d](http://e/&#x202e;) &#27;[31m &#x9b;m &#13;over &#7;"


@pytest.mark.parametrize(
    "text", [ENTITIES, f"# {ENTITIES}", f"| a |\n|-|\n| {ENTITIES} |", f"- {ENTITIES}\n\n> &#x202e;"]
)
def test_entities_command_no_terminal(open_screen, text):
    screen = open_screen()
    answer = UI(styled=True).answer(drafts=False)
    answer.piece(text)
    answer.close()
    sent = screen.getvalue()
    assert "cod.exe" in sent
    assert not set(sent) & set("\u202e\u2067\x9b\x07\x0c")
    assert "over" in sent
    assert "\rover" not in sent


def test_a_model_file_commands_no_terminal(open_screen, monkeypatch, tmp_path):
    screen = open_screen()
    path = tmp_path / "x.gguf"
    path.write_bytes(b"x")
    report = {"file": str(path), "architecture": EVIL, "exact mode": [EVIL]}
    monkeypatch.setattr(models, "model_report", lambda *_: dict(report))
    models.info.main([str(path)], standalone_mode=False)
    assert shown(screen.getvalue()) == screen.getvalue()
    assert "\\u202e" in screen.getvalue()


@pytest.mark.parametrize("chatting", [False, True])
def test_a_warning_waits_for_the_end_of_the_line(generated, open_screen, monkeypatch, chatting):
    screen = open_screen()

    class Warned(Talker):
        def create_chat_completion(self, messages, **settings):
            for number, chunk in enumerate(super().create_chat_completion(messages, **settings)):
                if number == 1:
                    warnings.warn("the store is full\x9b", stacklevel=1)
                yield chunk

    monkeypatch.setattr(sys.modules[__name__], "Talker", Warned)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", streams._show)
        if chatting:
            said = Conversation(Warned("one two three four"), "", {"max_tokens": 50})
            Talk(said, UI(styled=False), True, True).handle("hello")
        else:
            generated("one two three four")
    assert screen.getvalue().splitlines() == ["one two three four", "hd-edge: the store is full\\x9b"]
