"""What the chat tells a person: cut answers, turns left out, what was saved, what is a command."""

from __future__ import annotations

import json
import sys

import pytest
from talker import Talker

from hd_edge import ContextFullError
from hd_edge.cli.conversation import Conversation
from hd_edge.cli.talk import Talk
from hd_edge.cli.ui import UI


@pytest.fixture
def chat(monkeypatch, capsys):
    """Runs a chat with these lines; returns the lines it said on stderr, its answers, and the conversation."""

    def run(model, *lines, drafts=False, most=50):
        typed = iter([*lines, "/exit"])
        monkeypatch.setattr("builtins.input", lambda _: next(typed))
        monkeypatch.setattr(sys.stdin, "readline", lambda _: next(typed) + "\n")
        talk = Talk(Conversation(model, "", {"max_tokens": most}), UI(), drafts, True)
        talk.run()
        said = capsys.readouterr()
        return said.err.splitlines(), said.out.splitlines(), talk.conversation

    return run


def test_a_cut_answer_is_told_with_what_to_do(chat):
    notes, answers, _ = chat(Talker("a" * 20, finish="length"), "hello", most=20)
    assert answers == ["a" * 20]
    assert notes == ['cut at 20 tokens (-n 20): ask it to "go on", or begin with a larger -n']
    notes, _, _ = chat(Talker("a" * 30, finish="length", context=100), "hello", most=-1)
    assert notes == ['cut: the context of 100 tokens is full; ask it to "go on", or begin with a larger -c']
    assert chat(Talker("a" * 20), "hello", most=20)[0] == []


def test_turns_that_are_left_out_are_told_each_time_there_are_more(chat):
    model = Talker("b" * 40, context=170)
    notes, answers, conversation = chat(model, "one", "two", "three", "/regenerate", "three", "/reset", "four")
    told = [note for note in notes if "no longer sees" in note]
    assert [note.split("first ")[1].split(";")[0] for note in told] == ["2 of 6 messages", "4 of 8 messages"]
    assert len(answers) == 6
    assert len(conversation.turns) == 2
    sent = [[message["content"] for message in messages] for messages, _ in model.calls]
    assert [len(messages) for messages in sent] == [1, 3, 3, 3, 3, 1]


def test_a_late_ctrl_c_ends_no_chat(chat, monkeypatch):
    def late(self, unsaid):
        raise KeyboardInterrupt

    monkeypatch.setattr(Talk, "hints", late)
    _, answers, conversation = chat(Talker("fine"), "first", "second")
    assert answers == ["fine", "fine"]
    assert len(conversation.turns) == 4


@pytest.mark.parametrize(
    ("answer", "told"), [(None, "stopped; the question is taken back"), ("", "the model said nothing; the question")]
)
def test_a_question_without_an_answer_is_taken_back(chat, answer, told):
    notes, answers, conversation = chat(Talker("fine", answer, "well"), "first", "second", "third")
    assert notes[0].startswith(told)
    assert [turn["content"] for turn in conversation.turns] == ["first", "fine", "third", "well"]


@pytest.mark.parametrize(
    ("answer", "told"), [(None, "stopped; the last answer stays"), ("", "the model said nothing; the last answer")]
)
def test_an_answer_stays_until_there_is_another(chat, answer, told):
    notes, _, conversation = chat(Talker("fine", answer, "well"), "first", "/regenerate")
    assert notes[0].startswith(told)
    assert [turn["content"] for turn in conversation.turns] == ["first", "fine"]
    _, _, conversation = chat(Talker("fine", answer, "well"), "first", "/regenerate", "/regenerate")
    assert [turn["content"] for turn in conversation.turns] == ["first", "well"]


def test_an_answer_stays_where_making_another_fails(chat, monkeypatch):
    class Broken(Talker):
        def create_chat_completion(self, messages, **settings):
            if self.calls:
                raise ContextFullError("the context is full")
            yield from super().create_chat_completion(messages, **settings)

    notes, _, conversation = chat(Broken("fine"), "first", "/regenerate", "second")
    assert notes == ["the context is full"] * 2
    assert [turn["content"] for turn in conversation.turns] == ["first", "fine"]


def test_thoughts_are_no_part_of_the_conversation(chat, monkeypatch):
    class Thinker(Talker):
        def create_chat_completion(self, messages, **settings):
            assert settings["reasoning_format"] == "auto"
            yield {"choices": [{"delta": {"reasoning_content": "Let me see."}, "finish_reason": None}]}
            yield from super().create_chat_completion(messages, **settings)

    _, answers, conversation = chat(Thinker("Four."), "2 + 2?")
    assert answers == ["Four."]
    assert [turn["content"] for turn in conversation.turns] == ["2 + 2?", "Four."]


def test_the_system_prompt_is_set_shown_and_cleared(chat):
    model = Talker("yes")
    notes, _, _ = chat(model, "/system", "/system Be short.", "a", "/system", "/system clear", "b")
    assert [note.removeprefix("system prompt: ") for note in notes] == ["(none)", "Be short.", "Be short.", "(none)"]
    roles = [[message["role"] for message in messages] for messages, _ in model.calls]
    assert roles == [["system", "user"], ["user", "assistant", "user"]]


@pytest.mark.parametrize("text", ["/etc/hosts is what?", "/Users are here", '"""\n/reset\nme\n"""'])
def test_what_is_no_command_is_said_to_the_model(chat, text):
    model = Talker("yes")
    chat(model, *text.split("\n"))
    assert model.calls[0][0][0]["content"] == text.strip('"').strip()


@pytest.mark.parametrize("text", ["/reset now", "/regenerate it", "/stats x", "/help me", "/exit now", "/quit it"])
def test_a_command_with_too_much_behind_it_does_nothing(chat, text):
    notes, _, conversation = chat(Talker("yes"), "first", text)
    assert notes == [f"{text.split()[0]} takes nothing behind it; /help lists the commands"]
    assert [turn["content"] for turn in conversation.turns] == ["first", "yes"]


def test_drafts_are_switched_by_what_can_be_meant(chat):
    notes, _, _ = chat(Talker("yes"), "/drafts maybe", "/drafts off", drafts=True)
    assert [note for note in notes if "/drafts" in note] == ["/drafts on, or /drafts off; it was 'maybe'"]
    assert notes[-1] == "drafted tokens are not shown"
    assert notes.count("drafted tokens are not shown") == 1


def test_save_and_load_confirm(chat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "talk.json"
    notes, _, _ = chat(Talker("yes"), "/system Be short.", "a", "/save talk.json")
    assert notes[-1] == f"saved 2 messages to {file}"
    assert json.loads((tmp_path / "talk.json").read_text(encoding="utf-8"))["system"] == "Be short."
    notes, answers, conversation = chat(Talker("no"), "b", "/load talk.json", "/load talk.json x", "/save", "/load")
    assert notes[:2] == [f"loaded 2 messages from {file}, in place of 2", "system prompt: Be short."]
    assert notes[2] == "talk.json x: No such file or directory"
    assert notes[3:] == ["/save FILE: name a file", "/load FILE: name a file"]
    assert answers == ["no"]  # through a pipe what was said before is not said again
    assert [turn["content"] for turn in conversation.turns] == ["a", "yes"]


def test_a_person_sees_where_a_loaded_conversation_stopped(chat, tmp_path, monkeypatch):
    chat(Talker("yes, of course"), "is it so?", f"/save {tmp_path}/talk.json")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    notes, answers, _ = chat(Talker("no"), f"/load {tmp_path}/talk.json")
    assert "> is it so?" in notes
    assert answers == ["yes, of course"]


def test_the_home_of_nobody_ends_no_chat(chat):
    notes, answers, _ = chat(Talker("yes"), *(f"/{name} ~no-such-user/x" for name in ("save", "load", "edit")), "a")
    assert len(notes) == 3
    assert all("'~no-such-user/x' begins with ~no-such-user" in note for note in notes)
    assert answers == ["yes"]


def test_names_of_files_cannot_write_to_the_terminal(chat, tmp_path):
    notes, _, _ = chat(Talker("yes"), "a", f"/save {tmp_path}/x\x1b[31m.json")
    assert notes == [rf"saved 2 messages to {tmp_path}/x\x1b[31m.json"]


def test_the_legend_says_what_the_colours_mean(chat):
    notes, _, _ = chat(Talker("yes"), "/drafts on", "/drafts off", "/drafts")
    assert notes[0] == notes[7] == "drafted tokens are shown:"
    legend = [note.split() for note in notes[1:6]]
    assert [words[0] for words in legend] == ["context", "model", "statistics", "drafter", "plain"]
    assert all(len(words) > 2 for words in legend)
    assert notes[6] == "drafted tokens are not shown"


def test_notes_are_wrapped_between_words_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    UI().note("a remark that is longer than this terminal is wide\n\n  and another")
    assert capsys.readouterr().err == "a remark that is longer than\nthis terminal is wide\n\n  and another\n"


def test_without_its_extra_the_chat_says_how_to_get_it(chat, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    notes, _, _ = chat(Talker("yes"))
    assert any("[cli]" in note for note in notes)
