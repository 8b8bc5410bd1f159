"""Ctrl-C while the command is imported."""

from __future__ import annotations

import pytest
from children import python

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


@pytest.mark.parametrize("name", ["hd_edge.cli", "click", "hd_edge.cli.streams"])
def test_ctrl_c_during_an_import_ends_without_a_word(name):
    done = python("-c", CODE.format(name=name, ignored=False))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_ignored_ctrl_c_stays_ignored():
    done = python("-c", CODE.format(name="click", ignored=True))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
