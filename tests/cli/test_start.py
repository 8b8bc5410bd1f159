"""Ctrl-C while the command is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.argv = ["hd-edge", "generate", "--help"]
sys.meta_path.insert(0, Interrupts())
signal.signal(signal.SIGINT, signal.SIG_IGN if {ignored} else signal.default_int_handler)
from hd_edge.__main__ import main
main()
"""


def run(name: str, ignored: bool) -> subprocess.CompletedProcess[str]:
    code = CODE.format(name=name, ignored=ignored)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["hd_edge.cli", "click", "hd_edge.cli.streams"])
def test_ctrl_c_during_an_import_ends_without_a_word(name):
    done = run(name, ignored=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_ignored_ctrl_c_stays_ignored():
    done = run("click", ignored=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
