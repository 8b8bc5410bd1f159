"""What killed processes left half written: removed after an hour, and nothing that is not surely ours."""

import os
import signal
import time

import pytest
from children import python
from store_helpers import IDENTITY

from hd_edge.store.store import Store
from hd_edge.store.transfer import export_file

HEADER = '{"format": "hd_edge n-grams", '
WHOLE_NAME = ".hd_edge-ab_12xyz"


def old(path):
    os.utime(path, (time.time() - 7200,) * 2)


def half_made_store(path):
    Store(path, IDENTITY).close()
    path.with_name(path.name + "-journal").touch()


@pytest.mark.parametrize("make", [half_made_store, lambda p: p.write_text(HEADER), lambda p: p.touch()])
@pytest.mark.parametrize("write", ["store", "export"])
def test_what_killed_processes_left_half_written_goes_after_an_hour(tmp_path, make, write):
    left, young = tmp_path / WHOLE_NAME, tmp_path / ".hd_edge-younger_"
    for path in (left, young):
        make(path)
    old(left)
    if write == "store":
        Store(tmp_path / "new.sqlite3", IDENTITY).close()
    else:
        with export_file(tmp_path / "new.jsonl") as out:
            out.write(HEADER)
    stay = {young.name, "new.sqlite3" if write == "store" else "new.jsonl"}
    assert {path.name for path in tmp_path.iterdir() if not path.name.endswith("-journal")} == stay
    assert not (tmp_path / f"{WHOLE_NAME}-journal").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (WHOLE_NAME, b"a text that somebody edits"),
        (WHOLE_NAME, None),
        (".hd_edge-notes", b""),
        (".hd_edge-ab_12xyz.txt", HEADER.encode()),
    ],
)
def test_what_is_not_surely_ours_stays(tmp_path, name, content):
    path = tmp_path / name
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    old(path)
    with export_file(tmp_path / "new.jsonl"):
        pass
    assert path.exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_an_export_that_was_killed_leaves_a_file_that_the_next_one_knows(tmp_path):
    code = """
import os, signal, sys
from pathlib import Path
from hd_edge.model.identity import Identity
from hd_edge.store.store import Store
from hd_edge.store.transfer import export_file
from hd_edge.store.transfer import export, export_file
identity = Identity("aa" * 32, "bb" * 32, 300, "test model")
with export_file(Path(sys.argv[1])) as out, Store(None, identity) as store:
    export(store, None, identity, out)
    out.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert python("-c", code, tmp_path / "new.jsonl").returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    old(left)
    Store(tmp_path / "new", IDENTITY).close()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
