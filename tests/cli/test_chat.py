"""``hd-edge chat`` as a person uses it: in a terminal, through a pipe, and over the end of the context."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import termios
import threading
import time

import pytest
from children import hd_edge

from hd_edge.cli.interrupt import in_thread, once
from hd_edge.cli.ui import UI
from hd_edge.engine.running import RunningStream


def test_a_session_goes_on_after_a_restart(smollm2_q4_0, tmp_path):
    """The second chat knows the first question, and its state is on the disk."""
    common = ["chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "8", "--temp", "0", "--session", "rivers"]
    question = "Tell me about the river Rhine and " + "its many banks and towns, " * 20
    for text in (question, "And the Danube?"):
        done = hd_edge(*common, stdin=text + "\n/exit\n", HD_EDGE_HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
    kept = tmp_path / "sessions" / "rivers.json"
    talk = json.loads(kept.read_text(encoding="utf-8"))
    assert [m["content"] for m in talk["messages"]][::2] == [question.strip(), "And the Danube?"]
    assert kept.stat().st_mode & 0o077 == 0
    assert list((tmp_path / "prefix").glob("*/*.kv"))
    assert hd_edge(*common[:-1], "../x", HD_EDGE_HOME=str(tmp_path)).returncode == 2


def test_an_evening_in_a_terminal(terminal, smollm2_q4_0, tmp_path):
    """Three turns, Ctrl-C in the middle, /drafts, a restart, and it has learned."""
    options = ["chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "1000", "--temp", "0"]
    question = "Tell me about rivers."
    chat = terminal(*options, HD_EDGE_HOME=str(tmp_path))
    chat.expect("> ")
    chat.type(question + "\n")
    first = chat.expect(" tokens · ")
    assert "river" in first
    assert "cyan" not in chat.looks()
    chat.expect("> ")
    chat.type("/drafts on\n")
    chat.expect("written by this model before")
    chat.expect("> ")
    chat.type(question + "\n")  # a small model repeats itself
    chat.expect("drafted (context")
    assert {"cyan", "underline"} <= chat.looks()
    chat.expect("> ")
    chat.type("/system Answer at length.\n")
    chat.expect("system prompt: Answer at length.")
    chat.expect("> ")
    chat.type("Write the numbers from one to three hundred, each with its square.\n")
    chat.expect("square.\n")
    chat.expect_answer()
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
    again.type_until("\x1b[A", question)  # up, to the first text of the session before
    again.type("\n")
    again.expect("drafted (")
    assert re.search(r"model \d+\)", again.expect("> "))  # learned in the first session
    assert "bold" in again.looks()
    assert not {"cyan", "magenta"} & again.looks()
    again.type("\x04")
    assert again.end() == 0
    assert again.screen.endswith("\n>\n")
    assert (tmp_path / "chat_history").stat().st_mode & 0o777 == 0o600


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
        ("\x1b[200~/etc/hosts\nis\n\na file\n\x1b[201~", " tokens · "),
        ("/regenerate", " tokens · "),
        ("/system", "system prompt: (none)"),
        ("/system Be short.", "system prompt: Be short."),
        ("/system clear", "system prompt: (none)"),
        (f"/save {talk}", "saved 6 messages to "),
        ("/reset", "empty again"),
        (f"/load {talk}", "loaded 6 messages from "),
        ("/sys\t Be long.", "system prompt: Be long."),
        ("/stats", "statistics"),
    ]
    chat.expect("> ")
    for text, shown in dialogue:
        chat.type(text + "\n")
        chat.expect(shown)
        chat.expect("\n> ")
    chat.interrupt()
    chat.expect("Ctrl-D or /exit leaves")
    chat.expect("\n> ")  # between two prompts the terminal would take the end of input for itself
    chat.type("\x04")
    assert chat.end() == 0
    said = [m["content"] for m in json.loads(talk.read_text(encoding="utf-8"))["messages"]]
    assert said[0] == "Say \nhello."
    assert said[2] == "One.\n\nTwo."
    assert said[4] == "/etc/hosts\nis\n\na file"


def test_what_is_typed_during_an_answer_waits_for_the_next_prompt(terminal, smollm2_q4_0, tmp_path):
    chat = terminal("chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "200", "-s", "3", HD_EDGE_HOME=str(tmp_path))
    chat.expect("> ")
    chat.type("Tell me about the sea.\n")
    chat.expect("sea.\n")
    chat.expect_answer()
    chat.type("And the sky?\n")
    before = chat.expect("> And the sky?")
    assert " tokens · " in before
    assert "And the sky?" not in chat.raw[: chat.raw.index(" tokens · ")]  # not even for a moment
    chat.expect(" tokens · ")
    chat.expect("> ")
    chat.type("\x04")
    assert chat.end() == 0


def test_a_person_is_told_that_a_prompt_is_read(terminal, models):
    run = terminal("generate", "-m", str(models("Q4_0")), "-t", "1", "-n", "3", "-c", "256")
    run.expect("type the prompt; Ctrl-D")
    run.type("the cat\n\x04")
    run.expect("3 tokens")


def test_through_a_pipe_there_is_text_only(smollm2_q4_0):
    command = ["chat", "-m", str(smollm2_q4_0), "-t", "1", "-n", "6", "--temp", "0", "--show-drafts"]
    done = hd_edge(*command, stdin="Hello.\nHello.\n")
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if line]) == 2  # an answer may end with a line break
    assert "\x1b" not in done.stdout + done.stderr
    assert "tok/s" in done.stderr
    assert ">" not in done.stdout


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


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_more_of_ctrl_c_changes_nothing_while_an_answer_stops():
    before, stopped = signal.getsignal(signal.SIGINT), False
    with pytest.raises(KeyboardInterrupt), once():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(60)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            stopped = True
    assert stopped
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_ends_the_process_in_a_block_leaves_it_in_order(number, request):
    left, before = False, signal.signal(number, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))
    with pytest.raises(SystemExit) as ended, once():
        try:
            os.kill(os.getpid(), number)
            threading.Event().wait(60)
        except KeyboardInterrupt:
            os.kill(os.getpid(), number)
            left = True
    assert left
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("question", [False, True], ids=["prompt", "question"])
def test_a_chat_that_is_ended_leaves_the_terminal_as_it_was(terminal, models, tmp_path, number, question):
    chat = terminal("chat", "-m", str(models("Q4_0")), "-t", "1", HD_EDGE_HOME=str(tmp_path))
    before = termios.tcgetattr(chat.master)
    chat.expect("Ctrl-D leaves")
    if question:
        (tmp_path / "a.txt").write_text("a")
        chat.type(f"/edit {tmp_path}/a.txt\r")
        chat.expect("what should change")
    while termios.tcgetattr(chat.master)[3] & termios.ICANON:  # the prompt makes the terminal its own
        time.sleep(0.01)
    chat.process.send_signal(number)
    assert chat.process.wait(60) == 128 + number
    assert termios.tcgetattr(chat.master) == before


@pytest.mark.parametrize("way", ["SIGTERM", "SIGHUP", "closed"])
def test_a_session_keeps_what_was_said_when_its_terminal_is_closed(terminal, smollm2_q4_0, tmp_path, way):
    chat = terminal(
        *("chat", "-m", str(smollm2_q4_0), "-t", "1", "--temp", "0", "--session", "rivers", "-n", "4000", "-c", "8192"),
        HD_EDGE_HOME=str(tmp_path),
    )
    chat.expect("Ctrl-D leaves")
    chat.type_until("Write a haiku about the sea.\r", "kami")  # over and over: the model finds no end
    if way == "closed":
        os.close(chat.master)
        chat.master = os.open(os.devnull, os.O_RDWR)
    else:
        chat.process.send_signal(getattr(signal, way))
    chat.process.wait(60)
    kept = json.loads((tmp_path / "sessions" / "rivers.json").read_text(encoding="utf-8"))
    assert [turn["role"] for turn in kept["messages"]][:2] == ["user", "assistant"]
    assert kept["messages"][1]["content"]


def test_table_without_rich_or_terminal(capsys):
    UI(styled=False).table("Title", ["tier", "n"], [["context", "12"], ["model", "3"]])
    assert capsys.readouterr().err == "Title\n  tier      n\n  context  12\n  model     3\n"
