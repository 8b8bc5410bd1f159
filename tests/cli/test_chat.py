"""``hd-edge chat`` as a person uses it: in a terminal, through a pipe, and over the end of the context."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from terminal import Terminal

from hd_edge import ConfigError, ContextFullError, Llama
from hd_edge.cli.chat import Chat
from hd_edge.cli.conversation import Conversation
from hd_edge.cli.interrupt import in_thread
from hd_edge.cli.ui import UI
from hd_edge.engine.running import RunningStream

HD_EDGE = [sys.executable, "-m", "hd_edge"]
SETTINGS = {"max_tokens": 24, "temperature": 0.0}


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    llm = Llama(str(smollm2_q4_0), n_ctx=512, n_threads=1, n_threads_batch=1, store=None, statistics=None, exact=True)
    yield llm
    llm.close()


@pytest.fixture
def terminal():
    opened = []

    def start(*arguments, **env):
        opened.append(Terminal([*HD_EDGE, *arguments], env))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_a_session_goes_on_after_a_restart(smollm2_q4_0, tmp_path):
    """The second chat knows the first question, and its state is on the disk."""
    common = ["chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "8", "--temp", "0", "--session", "rivers"]
    question = "Tell me about the river Rhine and " + "its many banks and towns, " * 20
    env = {**os.environ, "HD_EDGE_HOME": str(tmp_path)}
    for text in (question, "And the Danube?"):
        done = subprocess.run([*HD_EDGE, *common], input=text + "\n/exit\n", capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
    kept = tmp_path / "sessions" / "rivers.json"
    talk = json.loads(kept.read_text(encoding="utf-8"))
    assert [m["content"] for m in talk["messages"]][::2] == [question.strip(), "And the Danube?"]
    assert kept.stat().st_mode & 0o077 == 0
    assert list((tmp_path / "prefix").glob("*/*.kv"))
    done = subprocess.run([*HD_EDGE, *common[:-1], "../x"], input="", capture_output=True, text=True, env=env)
    assert done.returncode == 2


def test_an_evening_in_a_terminal(terminal, smollm2_q4_0, tmp_path):
    """Three turns, Ctrl-C in the middle, /drafts, a restart, and it has learned."""
    options = ["chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "40", "--temp", "0"]
    question = "Tell me about rivers."
    chat = terminal(*options, HD_EDGE_HOME=str(tmp_path))
    chat.expect("> ")
    chat.type(question + "\n")
    first = chat.expect(" tokens · ")
    assert "river" in first
    assert "\x1b[4m" not in chat.raw
    chat.expect("> ")
    chat.type("/drafts on\n")
    chat.expect("context model statistics")
    chat.expect("> ")
    chat.type("Say that again.\n")
    chat.expect("drafted (context")
    assert "\x1b[36m" in chat.raw
    chat.expect("> ")
    chat.type("/system Answer at length.\n")
    chat.expect("system prompt: Answer at length.")
    chat.expect("> ")
    chat.type("And about the sea?\n")
    chat.expect("sea?\n")
    chat.expect(" ")  # the answer has begun
    chat.interrupt()
    chat.expect("stopped; what was said is kept")
    chat.expect("> ")
    saved = tmp_path / "talk.json"
    chat.type(f"/save {saved}\n")
    chat.expect("saved 6 messages")
    chat.expect("> ")
    chat.type("/exit\n")
    assert chat.end() == 0
    talk = json.loads(saved.read_text(encoding="utf-8"))
    assert [m["role"] for m in talk["messages"]] == ["user", "assistant"] * 3
    assert talk["messages"][-1]["content"]
    assert talk["system"] == "Answer at length."

    again = terminal(*options, "--show-drafts", HD_EDGE_HOME=str(tmp_path), NO_COLOR="1")
    again.expect("> ")
    again.type(question + "\n")
    again.expect("drafted (")
    assert re.search(r"model \d+\)", again.expect("> "))  # learned in the first session
    assert "\x1b[1m" in again.raw
    assert "\x1b[36m" not in again.raw
    assert "\x1b[35m" not in again.raw
    again.type("\x04")
    assert again.end() == 0
    assert again.screen.endswith("> \n")


def test_commands_and_many_lines(terminal, smollm2_q4_0, tmp_path):
    chat = terminal("chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "8", "-s", "3", HD_EDGE_HOME=str(tmp_path))
    talk = tmp_path / "talk.json"
    dialogue = [
        ("/help", "Ctrl-C stops an answer"),
        ("/nothing", "/nothing is no command"),
        ("/regenerate", "there is no answer yet"),
        ("/load nowhere.json", "nowhere.json: No such file or directory"),
        ("/save", "name a file"),
        ("Say \\\nhello.", " tokens · "),
        ('"""\nOne.\n\nTwo.\n"""', " tokens · "),
        ("/regenerate", " tokens · "),
        (f"/save {talk}", "saved 4 messages"),
        ("/reset", "empty again"),
        (f"/load {talk}", "loaded 4 messages"),
        ("/stats", "statistics"),
    ]
    chat.expect("> ")
    for text, shown in dialogue:
        chat.type(text + "\n")
        chat.expect(shown)
        chat.expect("\n> ")
    chat.interrupt_until("Ctrl-D or /exit leaves")
    chat.type("\x04")
    assert chat.end() == 0
    said = [m["content"] for m in json.loads(talk.read_text(encoding="utf-8"))["messages"]]
    assert said[0] == "Say \nhello."
    assert said[2] == "One.\n\nTwo."


def test_through_a_pipe_there_is_text_only(smollm2_q4_0):
    command = [*HD_EDGE, "chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "6", "--temp", "0", "--show-drafts"]
    done = subprocess.run(command, input="Hello.\nHello.\n", capture_output=True, text=True, check=True, timeout=120)
    assert len([line for line in done.stdout.splitlines() if line]) == 2  # an answer may end with a line break
    assert "\x1b" not in done.stdout + done.stderr
    assert "tok/s" in done.stderr
    assert ">" not in done.stdout


def test_the_oldest_turns_go_when_the_context_is_full(llm):
    talk = Conversation(llm, "Be short.", dict(SETTINGS))
    for number in range(12):
        pieces = list(talk.ask(f"Number {number}: tell me something about the colour of the sky at noon, please."))
        assert pieces
        assert len(talk.turns) == 2 * number + 2
    assert talk.dropped > 0
    assert talk.dropped % 2 == 0
    sent = talk.messages()
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


def test_names_that_no_file_can_have_end_no_chat(llm, capsys, monkeypatch):
    lines = iter(["/save \0", "/load \0", "/load /no/such/file", "/save /no/such/file", "/exit"])
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    Chat(Conversation(llm, "", {}), UI(), False, True).run()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all("null byte" in line for line in said[:2])
    assert said[2:] == ["/no/such/file: No such file or directory"] * 2


class Endless:
    """A model that generates until it is cancelled, and takes no notice of it before it has begun."""

    tier = "context"

    def __init__(self):
        self.begun, self.cancelled = threading.Event(), threading.Event()

    def cancel(self):
        if self.begun.is_set():
            self.cancelled.set()

    def catch_up(self):
        pass

    def stream(self):
        yield {"n": 0}
        self.begun.set()
        self.cancelled.wait()


def test_a_running_stream_stops_also_while_it_waits_for_a_forward():
    arrivals, model = [], Endless()
    running = RunningStream(model, model.stream, arrivals.append)
    running.start()
    model.begun.wait()
    assert running.stop()
    assert [a.chunk for a in arrivals] == [{"n": 0}, None]
    assert arrivals[0].tier == "context"


def test_an_error_of_a_running_stream_arrives():
    arrivals = queue.SimpleQueue()

    def stream():
        yield {"n": 0}
        raise ZeroDivisionError

    RunningStream(Endless(), stream, arrivals.put).start()
    assert arrivals.get(timeout=60).chunk == {"n": 0}
    assert isinstance(arrivals.get(timeout=60).error, ZeroDivisionError)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_reaches_a_stream_that_waits_for_a_forward():
    model = Endless()

    def interrupt():
        model.begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    stream = in_thread(model, model.stream)
    assert next(stream).chunk == {"n": 0}
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        next(stream)
    stream.close()
    thread.join()
    assert model.cancelled.is_set()


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


def test_table_without_rich_or_terminal(capsys):
    UI(styled=False).table("Title", ["tier", "n"], [["context", "12"], ["model", "3"]])
    assert capsys.readouterr().err == "Title\n  tier      n\n  context  12\n  model     3\n"
