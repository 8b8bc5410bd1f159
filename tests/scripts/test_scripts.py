"""scripts/demo and scripts/test say in one line what a machine lacks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "env", "dirname", "cat", "find", "sort", "cksum", "grep", "head", "mktemp", "sleep", "rm")


@pytest.fixture
def bare_machine(tmp_path):
    """A clone of the scripts, and a PATH with the shell's tools only."""
    clone = tmp_path / "clone"
    for name in ("pyproject.toml", "CMakeLists.txt"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    (clone / "native").mkdir()
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (tools / tool).symlink_to(found)
    return clone, tools


def run(script, clone, tools):
    return subprocess.run(
        [str(tools / "bash"), str(clone / "scripts" / script)],
        env={"PATH": str(tools), "HOME": str(clone)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for POSIX shells")
@pytest.mark.parametrize("script", ["demo", "test"])
def test_no_compiler(bare_machine, script):
    clone, tools = bare_machine
    (tools / "python3").symlink_to(sys.executable)
    done = run(script, clone, tools)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Missing: a C++ compiler (Debian: apt install g++; macOS: xcode-select --install)."
    ]
    assert not (clone / ".venv").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for POSIX shells")
@pytest.mark.parametrize("script", ["demo", "test"])
def test_old_python(bare_machine, script):
    clone, tools = bare_machine
    old = tools / "python3"
    old.write_text(f'#!{tools / "bash"}\n[ "$1" = --version ] && echo "Python 3.8.2" || exit 1\n')
    old.chmod(0o755)
    done = run(script, clone, tools)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Missing: Python 3.10 or later (found: Python 3.8.2)."]
