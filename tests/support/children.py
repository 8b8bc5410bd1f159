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
