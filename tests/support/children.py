"""Other processes: Python, the command line, and the child programs in this folder."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_random_gguf

import hd_edge as package

FOLDER = Path(__file__).parent
PLACES = os.pathsep.join([str(Path(package.__file__).parent.parent), *sys.path])
SCRIPTS = str(Path(make_random_gguf.__file__).parent)
HD_EDGE = [sys.executable, "-m", "hd_edge"]
MAIN = "import sys; from hd_edge.cli import main; sys.argv[0] = 'hd-edge'; main()"


def python(
    *arguments: object, stdin: str = "", seconds: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs Python with these arguments."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=os.environ | environment,
        check=False,
    )


def hd_edge(*arguments: object, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line as its script does."""
    return python("-c", MAIN, *arguments, stdin=stdin, **environment)


def run_code(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a program that is given as its text, with what this process can import."""
    return python("-X", "faulthandler", "-c", code, *arguments, PYTHONPATH=PLACES)


def printed(program: str, *arguments: object, seconds: float = 1800, **environment: str) -> str:
    """What a program of this folder prints; it ends well."""
    done = python(FOLDER / program, *arguments, seconds=seconds, PYTHONPATH=SCRIPTS, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def caller(module: str, seconds: float) -> Callable[..., Any]:
    """``child(function, env, **arguments)``: what a function of a module of this folder returns in a fresh process."""

    def child(function: str, env: dict[str, str] | None = None, **arguments: Any) -> Any:
        return json.loads(printed("call.py", module, function, json.dumps(arguments), seconds=seconds, **(env or {})))

    return child


def outcomes(kind: str, folder: Path) -> dict[str, str]:
    """What came of each ``folder/*/file``, loaded in a process of its own with limits (``hostile_child.py``)."""
    return json.loads(printed("hostile_child.py", kind, folder))


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A program of this folder, which goes on while the test does."""
    command = [sys.executable, str(FOLDER / program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(*running: subprocess.Popen[str]) -> list[list[str]]:
    """The words that each wrote; all end well."""
    said = []
    for child in running:
        out, err = child.communicate(timeout=120)
        assert (child.returncode, err) == (0, ""), err
        said.append(out.split())
    return said


def killed(child: subprocess.Popen[str], seconds: float) -> list[str]:
    """Kills it after so long, wherever in its work it is then; returns the words it had written."""
    time.sleep(seconds)
    os.kill(child.pid, signal.SIGKILL)
    said = child.stdout.read().split()
    assert child.wait() == -signal.SIGKILL
    assert child.stderr.read() == ""
    return said


def address(server: subprocess.Popen[str]) -> tuple[str, list[str]]:
    """Where a server listens, and the lines up to the one that tells it."""
    said: list[str] = []
    while not (said and (found := re.search(r" at (http://\S+) ", said[-1]))):
        said.append(server.stderr.readline())
        assert said[-1], f"the server ended: {''.join(said)}"
    return found[1], said
