"""Functions of the child programs in this folder, each called in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_random_gguf

import hd_edge

FOLDER = Path(__file__).parent
SCRIPTS = str(Path(make_random_gguf.__file__).parent)


def caller(program: str, seconds: float) -> Callable[..., Any]:
    """``child(function, env, timeout, **arguments)``: what one function of a program of this folder prints, as JSON."""

    def child(function: str, env: dict[str, str] | None = None, timeout: float = seconds, **arguments: Any) -> Any:
        done = subprocess.run(
            [sys.executable, str(FOLDER / program), function, json.dumps(arguments)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": SCRIPTS} | (env or {}),
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return child


def run_code(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that is given as its text, with what this process can import."""
    places = [str(Path(hd_edge.__file__).parent.parent), *sys.path]
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        check=False,
    )


def outcomes(kind: str, folder: Path, seconds: float = 1800) -> dict[str, str]:
    """What came of each ``folder/*/file``, loaded in a process of its own with limits (``hostile_child.py``)."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "hostile_child.py"), kind, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": SCRIPTS},
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
