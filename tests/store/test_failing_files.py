"""Every n-th change of a file fails (no space, input/output error), for all n that a scenario reaches.

A small library is preloaded into a child, so that SQLite, the native module and Python meet the same failing disk.
What was learned before is there afterwards, what is there is right, and nothing raises but what hd_edge raises.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from children import FOLDER, printed

SCENARIOS = ("learning", "creating", "pruning", "migrating", "prefixes", "statistics")
COMPILER = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or COMPILER is None, reason="preloads a library: Linux and a compiler"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    out = tmp_path_factory.mktemp("failing") / "failing_files.so"
    subprocess.run(
        [COMPILER, "-std=c++17", "-O1", "-shared", "-fPIC", "-o", str(out), str(FOLDER / "failing_files.cpp"), "-ldl"],
        check=True,
    )
    return out


@pytest.fixture
def folder():
    """In memory, where the system has such a place: flushing to a disk that others use takes most of the time."""
    ram = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=ram if os.access(ram, os.W_OK) else None) as made:
        yield Path(made)


def fail_each(library, folder, scenario, code, *, sticky, stride=1):
    arguments = (folder, scenario, code, int(sticky), stride)
    return int(printed("failing_files_child.py", *arguments, LD_PRELOAD=str(library)).split()[-1])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_change_of_a_file_fails(library, folder, survival, scenario):
    survival.what = f"every 23rd change of a file fails while {scenario}"
    found = fail_each(library, folder, scenario, errno.ENOSPC, sticky=False, stride=23)
    assert found >= 1
    with survival.case(found):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["no space", "input or output error"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_change_of_a_file_fails_in_turn(library, folder, survival, scenario, code, sticky):
    survival.what = f"n-th change of a file fails while {scenario}"
    found = fail_each(library, folder, scenario, code, sticky=sticky)
    assert found >= 10
    with survival.case(found):
        pass
