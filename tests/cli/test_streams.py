"""A sentence where a traceback would stand: closed and full streams, other encodings, options out of range, Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from children import MAIN, python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell redirections of POSIX")


@pytest.fixture(scope="module")
def model(models):
    return str(models("Q4_0"))


def shell(redirection: str, *arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess:
    """Runs hd-edge with a redirection of the shell, and a bound of memory (KiB)."""
    command = ["sh", "-c", f'ulimit -v 16000000; exec "$@" {redirection}', "sh", sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=300, env={**os.environ, **environment}
    )


def generate(model: str, *more: str) -> tuple[str, ...]:
    return ("generate", "-m", model, "-t", "1", "-c", "256", "-n", "4", "--temp", "0", "-q", *more)


def assert_sentence(done: subprocess.CompletedProcess, *parts: str) -> None:
    said = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
    assert done.returncode == 1, said
    assert said.startswith("hd-edge: ")
    assert len(said.splitlines()) == 1
    for part in parts:
        assert part in said


@pytest.mark.parametrize("output", ["> /dev/full", ">&-"])
@pytest.mark.parametrize("verb", ["generate", "json", "help", "list", "chat"])
def test_output_that_cannot_be_written(model, output, verb):
    arguments = {
        "generate": generate(model, "-p", "a"),
        "json": generate(model, "-p", "a", "--json"),
        "help": ("generate", "-h"),
        "list": ("models", "list"),
        "chat": ("chat", "-m", model, "-t", "1", "-c", "256", "-n", "2", "-q"),
    }[verb]
    done = shell(output, *arguments, stdin=b"a\nb\n" if verb == "chat" else b"")
    assert_sentence(done, "stdout: No space left" if "full" in output else "stdout: Bad file descriptor")


def test_a_file_that_is_called_as_a_stream_is_none(model, tmp_path):
    done = shell("", "chat", "-m", model, "-t", "1", "-c", "256", "-n", "2", "-q", stdin=b"/load stdout\n/stats\n")
    assert (done.returncode, b"No such file or directory" in done.stderr) == (0, True)


def test_a_stream_that_takes_nothing_is_named(model):
    assert_sentence(shell("", *generate(model, "-p", "a", "--explain", "/dev/full")), "/dev/full: No space left")


def test_nothing_to_read_is_an_empty_prompt(model):
    closed, empty = shell("<&-", *generate(model)), shell("< /dev/null", *generate(model))
    assert closed.returncode == empty.returncode == 0, closed.stderr
    assert closed.stdout == empty.stdout != b""


def test_a_model_that_needs_a_prompt_is_told_how_to_get_one(smollm2_q4_0):
    done = shell("< /dev/null", *generate(str(smollm2_q4_0)))
    assert done.returncode == 2
    assert b"there is no prompt" in done.stderr


def test_errors_that_nobody_reads_leave_the_answer_alone(model):
    told, silent = shell("", *generate(model, "-p", "a")), shell("2>&-", *generate(model, "-p", "a"))
    assert silent.returncode == told.returncode == 0
    assert silent.stdout == told.stdout != b""


def test_a_closed_stream_is_no_other_file(model):
    code = "from hd_edge.cli import streams; streams.prepare(); print(open('/dev/null').fileno() > 2)"
    command = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout.split() == [b"True"]


def test_input_that_is_not_utf_8(model, tmp_path):
    file = tmp_path / "prompt.txt"
    file.write_bytes(b"caf\xe9")
    assert_sentence(shell("", *generate(model, "-f", str(file))), "not UTF-8 text: byte 0xe9 at 3")
    assert_sentence(shell("", *generate(model, "-p", "a", "--prediction", str(file))), "not UTF-8 text")
    assert_sentence(shell("", *generate(model), stdin=b"caf\xe9", LC_ALL="C"), "not UTF-8 text: byte 0xe9 at 3")
    assert_sentence(shell("", "chat", "-m", model, "-t", "1", stdin=b"caf\xe9\n"), "not UTF-8 text")


@pytest.mark.parametrize(
    ("redirection", "arguments", "name"),
    [
        ("", ("-f", "/dev/zero"), "-f /dev/zero"),
        ("", ("-p", "a", "--prefix", "/dev/zero"), "--prefix /dev/zero"),
        ("", ("-p", "a", "--prediction", "/dev/zero"), "--prediction /dev/zero"),
        ("< /dev/zero", (), "the prompt on stdin"),
    ],
)
def test_input_that_never_ends(model, redirection, arguments, name):
    assert_sentence(shell(redirection, *generate(model, *arguments)), f"{name} has more than 67,108,864 bytes")


def test_the_locale_changes_nothing(model):
    known = shell("", *generate(model, "-p", "über"), LC_ALL="C.UTF-8")
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for environment in ({"LC_ALL": "C"}, ascii_only):
        from_arguments = shell("", *generate(model, "-p", "über"), **environment)
        from_stdin = shell("", *generate(model), stdin="über".encode(), **environment)
        for done in (from_arguments, from_stdin):
            assert (done.returncode, done.stdout) == (0, known.stdout), done.stderr


def test_characters_that_an_encoding_lacks_are_replaced(model):
    told = shell("", "generate", "-m", model, "-t", "1", "-n", "4", "-p", "a", PYTHONIOENCODING="iso8859-5")
    assert told.returncode == 0
    assert b" tokens ? " in told.stderr  # the dots between the numbers


def test_a_data_folder_that_cannot_be_made_is_told_in_one_line(model, tmp_path):
    (tmp_path / "file").touch()
    home = str(tmp_path / "file" / "home")
    done = shell("", *generate(model, "-p", "a"), HD_EDGE_HOME=home)
    assert done.returncode == 0
    assert done.stdout
    said = done.stderr.decode().splitlines()
    assert len(said) == 1
    assert said[0].startswith("hd-edge: store ")
    assert_sentence(shell("", "models", "add", model, HD_EDGE_HOME=home), "Not a directory")


def test_a_page_in_a_folder_that_is_not_there_is_told_before_the_work(model, tmp_path):
    done = shell("", *generate(model, "-p", "a", "--explain", str(tmp_path / "no" / "page.html")))
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"is no folder: make it first" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("-n", "0"),
        ("-n", "-5"),
        ("--temp", "nan"),
        ("--temp", "-1"),
        ("--temp", "inf"),
        ("--top-k", "-1"),
        ("--top-p", "1.5"),
        ("--min-p", "-0.1"),
        ("--repeat-penalty", "0"),
        ("-s", "-2"),
        ("-t", "513"),
        ("-t", "0"),
        ("-c", "-1"),
        ("-ngl", "-2"),
    ],
)
def test_options_out_of_range_are_usage_errors(wrong):
    from click.testing import CliRunner

    from hd_edge.cli.generate import generate as verb

    done = CliRunner().invoke(verb, ["-m", "no.gguf", "-p", "a", *wrong])
    assert done.exit_code == 2
    assert wrong[0] in done.stderr


@pytest.mark.parametrize(("given", "most"), [("-1", -1), ("7", 7)])
def test_numbers_of_tokens_that_are_taken(given, most):
    from hd_edge.cli.values import Predict

    assert Predict().convert(given, None, None) == most


def test_an_error_of_ours_in_the_making_is_one_line_and_debug_shows_it():
    code = "import hd_edge.cli.models as m; m.registry.names = lambda: 1 / 0; " + MAIN
    done = python("-c", code, "models", "list")
    assert_sentence(done, "ZeroDivisionError: division by zero; hd-edge --debug shows where")
    assert "Traceback" in python("-c", code, "--debug", "models", "list").stderr


LOADING = """
import ctypes, os, signal, hd_edge
class Loading:
    def __init__(self, *_, **__):
        ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGINT))()  # in a callback, as llama.cpp's log
        while True:
            signal.pause()
hd_edge.Llama = Loading
"""


@pytest.mark.parametrize("verb", ["generate", "chat", "serve"])
def test_ctrl_c_while_a_model_loads(model, verb):
    done = python("-c", LOADING + MAIN, verb, "-m", model, stdin="a")
    assert (done.returncode, done.stderr) == (130, "")


IGNORED = """
import os, signal
from hd_edge.cli.interrupt import ends_at_ctrl_c, once
signal.signal(signal.SIGINT, signal.SIG_IGN)
for block in (ends_at_ctrl_c, once):
    with block():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
print("goes on")
"""


def test_a_ctrl_c_that_is_to_be_ignored_is():
    """As in a script's ``hd-edge generate ... &``."""
    assert python("-c", IGNORED).stdout == "goes on\n"


def test_after_loading_ctrl_c_is_an_exception_again():
    code = """
import os, signal
from hd_edge.cli.interrupt import ends_at_ctrl_c
before = signal.getsignal(signal.SIGINT)
with ends_at_ctrl_c():
    pass
assert signal.getsignal(signal.SIGINT) is before
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("[1]")
"""
    done = python("-c", code)
    assert done.stdout == "[1]\n", done.stderr
