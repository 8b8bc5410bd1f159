"""``hd-edge db merge``: all of every source or nothing, and no store twice."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner
from db_command import run
from store_helpers import IDENTITY, run_sql
from vocabularies import write_vocabulary

from hd_edge.cli import cli
from hd_edge.errors import StoreError, StoreMismatchError
from hd_edge.store.store import Store


def test_merge_of_two_kinds_is_refused(model, store, identity, tmp_path):
    other = tmp_path / "s.sqlite3"
    Store(other, identity, kind="statistics").close()
    run("merge", tmp_path / "s2.sqlite3", other)
    bad = write_vocabulary(tmp_path / "bad.gguf", eos=1)
    with pytest.raises(StoreMismatchError):
        header = {"format": "hd_edge n-grams", "version": 1, "kind": "model", **identity.to_dict()}
        run("import", store, "-", "-m", bad, input=json.dumps(header) + "\n")


def test_no_store_is_merged_twice(store, tmp_path):
    link = tmp_path / "link.sqlite3"
    link.symlink_to(store)
    hard = tmp_path / "hard.sqlite3"
    os.link(store, hard)
    before, new = store.read_bytes(), tmp_path / "new.sqlite3"
    for arguments in ((store, store), (new, store, link), (link, store), (new, hard, store), (hard, store)):
        result = CliRunner().invoke(cli, ["db", "merge", *map(str, arguments)])
        assert result.exit_code == 2
        assert "named twice" in result.stderr
    assert store.read_bytes() == before
    assert not new.exists()


@pytest.mark.parametrize("kind", ["foreign", "torn", "another tokenizer"])
def test_a_merge_adds_all_or_nothing(model, store, tmp_path, kind):
    bad, target = tmp_path / "bad.sqlite3", tmp_path / "target.sqlite3"
    if kind == "foreign":
        bad.write_text("dear diary, " * 100)
    elif kind == "another tokenizer":
        Store(bad, IDENTITY).close()
    else:
        shutil.copy(store, bad)
        run_sql(bad, "PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET rootpage=3 WHERE name='ngrams'")
    shutil.copy(store, target)
    before = target.read_bytes()
    for into in (tmp_path / "new.sqlite3", target):
        with pytest.raises(StoreError):
            run("merge", into, store, bad)
    assert not (tmp_path / "new.sqlite3").exists()
    assert target.read_bytes() == before


def test_a_loop_of_links_is_told(store, tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(StoreError, match="Too many levels of symbolic links"):
        run("merge", loop, store)
