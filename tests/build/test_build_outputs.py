"""Where builds and exports write: over an older one of the same kind, over nothing else."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from children import run_code
from foreign_files import FOREIGN, snapshot
from store_helpers import asides

from hd_edge.build.corpus import Corpus
from hd_edge.build.statistics import StatisticsBuild
from hd_edge.errors import CorpusError, StoreError, StoreForeignError, StoreMismatchError
from hd_edge.model.vocabulary import Vocabulary, identify
from hd_edge.model.vocabulary_file import vocabulary_of
from hd_edge.store.store import Store
from hd_edge.store.transfer import export, export_file, import_text

ENDED = """
import os, signal, sys
from hd_edge.cli import main
from hd_edge.store import transfer

number = getattr(signal, sys.argv.pop(1))
for name in ("SIGTERM", "SIGHUP", "SIGINT"):  # whatever who runs this has made of them
    signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
transfer.export = lambda *given: (given[-1].write("half a li"), os.kill(os.getpid(), number))
sys.argv[:1] = ["hd-edge", "db", "export"]
main()
"""  # the signal comes in the middle of it


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("ab a ab a b\n" * 20)
    return Corpus([path])


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "statistics.sqlite3"


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_build_leaves_a_foreign_file_alone(model, corpus, out, make):
    make(out)
    before = snapshot(out.parent)
    with pytest.raises(StoreError, match=r"statistics\.sqlite3"):
        StatisticsBuild(model, corpus, out).run()
    assert snapshot(out.parent) == before


def test_build_replaces_an_older_build_only(model, corpus, out):
    StatisticsBuild(model, corpus, out).run()
    StatisticsBuild(model, corpus, out).run()
    whole = out.read_bytes()
    out.write_bytes(whole[:5000])
    StatisticsBuild(model, corpus, out).run()
    (aside,) = asides(out)
    assert aside.read_bytes() == whole[:5000]  # damaged, and still not thrown away
    aside.unlink()
    with vocabulary_of(model) as loaded:
        identity = identify(loaded)
    out.unlink()
    Store(out, identity).close()
    before = snapshot(out.parent)
    with pytest.raises(StoreMismatchError, match="model tier"):  # what the model said is not to be lost
        StatisticsBuild(model, corpus, out).run()
    assert snapshot(out.parent) == before


def test_file_that_appears_during_a_build_stays(model, corpus, out):
    def someone(progress):
        out.write_text("mine")

    build = StatisticsBuild(model, corpus, out, progress=someone)
    with pytest.raises(StoreForeignError):
        build.run()
    assert out.read_text() == "mine"


def test_file_that_appears_at_the_last_moment_stays(model, corpus, out, monkeypatch):
    link = os.link

    def late(source, target):
        if target == out:
            out.write_text("mine")
        link(source, target)

    monkeypatch.setattr("os.link", late)
    with pytest.raises(StoreError, match="File exists"):
        StatisticsBuild(model, corpus, out).run()
    assert out.read_text() == "mine"


def test_link_to_a_build_stays_a_link(model, corpus, out):
    target = out.with_name("real.sqlite3")
    out.symlink_to(target)
    StatisticsBuild(model, corpus, out).run()
    assert out.is_symlink()
    Store(target, kind="statistics", read_only=True).close()


MANIFEST = {"settings": {"tokenizer": "x"}, "units": 1, "bytes": 1, "tokens": 1, "skipped": 0, "next_run": 1}


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "chapter 1"},
        {"manifest.json": '{"name": "another program"}'},
        {"manifest.json": "[" * 100_000},
        {"manifest.json": json.dumps({**MANIFEST, "runs": ["../../thesis.tex"]})},
        {"manifest.json": json.dumps({**MANIFEST, "units": "x", "runs": []})},
        {"manifest.json": json.dumps({**MANIFEST, "runs": []}), "thesis.tex": "chapter 1"},
    ],
    ids=["user's", "another program's", "deep", "runs elsewhere", "no number", "mixed"],
)
def test_folder_that_is_none_of_a_build_is_left_alone(model, corpus, out, files, restart):
    folder = out.with_name(out.name + ".building")
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    before = snapshot(out.parent)
    with pytest.raises(StoreForeignError, match="left alone"):
        StatisticsBuild(model, corpus, out).run(restart=restart)
    assert snapshot(out.parent) == before


def test_restart_throws_away_an_interrupted_build(model, corpus, out, tmp_path):
    folder = out.with_name(out.name + ".building")
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, "runs": ["run-0"]}))
    (folder / "run-0").write_text("cut short")
    with pytest.raises(CorpusError, match="--restart"):
        StatisticsBuild(model, corpus, out).run()
    StatisticsBuild(model, corpus, out).run(restart=True)
    assert list(out.parent.iterdir()) == [out]


@pytest.fixture
def exported(model, tmp_path):
    """Writes an export of a small store to a path."""

    def write(path):
        with vocabulary_of(model) as loaded, Store(None, identify(loaded)) as store, export_file(path) as file:
            return export(store, Vocabulary(loaded), identify(loaded), file)

    return write


@pytest.mark.parametrize("make", [make for name, make in FOREIGN.items() if name != "fifo"])
def test_export_leaves_a_foreign_file_alone(out, exported, make):
    make(out)
    before = snapshot(out.parent)
    with pytest.raises(StoreForeignError, match="no export"):
        exported(out)
    assert snapshot(out.parent) == before


def test_export_leaves_a_store_alone(model, out, exported):
    with vocabulary_of(model) as loaded:
        Store(out, identify(loaded)).close()
    before = out.read_bytes()
    with pytest.raises(StoreForeignError):
        exported(out)
    assert out.read_bytes() == before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_an_export_that_is_ended_leaves_nothing_behind(model, out, exported, tmp_path, name):
    exported(out)
    before = out.read_text()
    store = tmp_path / "store.sqlite3"
    with vocabulary_of(model) as loaded:
        Store(store, identify(loaded)).close()
    done = run_code(ENDED, name, store, "-m", model, "-o", out)
    assert done.returncode == 128 + getattr(signal, name)
    assert list(out.parent.iterdir()) == [out]
    assert out.read_text() == before


def test_export_replaces_an_older_one_when_it_is_complete(model, out, exported):
    exported(out)
    whole = out.read_text()
    with pytest.raises(RuntimeError), export_file(out) as file:
        file.write("half a li")
        raise RuntimeError
    assert out.read_text() == whole
    exported(out)
    assert list(out.parent.iterdir()) == [out]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600  # fragments of answers


def test_an_export_keeps_the_mode_of_what_it_replaces(out, exported):
    exported(out)
    out.chmod(0o644)
    exported(out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_export_into_a_file_that_stdout_goes_to(tmp_path, mode):
    out = tmp_path / "notes.txt"
    out.write_text("notes\n")
    code = "from pathlib import Path; from hd_edge.store.transfer import export_file\n"
    code += "with export_file(Path('/dev/stdout')) as file: file.write('a line\\n')"
    with out.open(mode) as stdout:
        subprocess.run([sys.executable, "-c", code], stdout=stdout, check=True)
    assert out.read_text() == ("notes\n" if mode == "ab" else "") + "a line\n"


def test_export_into_a_full_device():
    with pytest.raises(StoreError, match="/dev/full: No space left"), export_file(Path("/dev/full")) as file:
        file.write("a line")


def test_export_into_a_device(exported):
    assert exported(Path(os.devnull)) == 0
    assert Path(os.devnull).is_char_device()


def test_import_names_the_line(model, tmp_path):
    lines = ['{"key": "a", "next": [["b", 1]], "total": 1, "ids": [[5], [6]]}'] * 3
    with vocabulary_of(model) as loaded, Store(None, identify(loaded)) as store:
        header = json.dumps({"format": "hd_edge n-grams", "version": 1, **store.identity.to_dict()})
        for bad in BAD_LINES:
            with pytest.raises(CorpusError, match="line 4"):
                import_text(store, Vocabulary(loaded), iter([header, *lines[:2], bad, *lines]))
        assert len(store) == 0


BAD_LINES = [
    '{"key": "a", "next": [["b", 1]], "total": 1e999, "ids": [[5, 6], [7]]}',
    '{"key": "a", "next": [["b", 1e999]], "total": 1, "ids": [[5, 6], [7]]}',
    '{"key": "a", "next": [["b", 1.5]], "total": 1, "ids": [[5, 6], [7]]}',
    '{"key": ["a"], "next": [[["b"], 1]], "total": 1, "ids": [[5, 6], [7]]}',
    '{"key": "a", "next": [["b", true]], "total": 1, "ids": [[5, 6], [7]]}',
    '{"key": "a", "next": 5, "total": 1, "ids": [[5, 6], [7]]}',
    '{"key": "a", "next": [["b", 1]], "total": 1, "ids": [5, 7]}',
    '{"key": "a", "next": [["b", 1]], "total": 1, "ids": [[5, 6], [7, 8]]}',
    '{"key": "a", "next": [["b", 99999999999]], "total": 1, "ids": [[5, 6], [7]]}',
    "[" * 100_000,
    "1" * 10_000,
    "null",
]
