"""``hd-edge cache``, ``--no-prefix-cache`` and ``generate --prefix``: a document is read once and can be forgotten."""

from __future__ import annotations

import json
from functools import partial

import pytest
from children import hd_edge

from hd_edge.cli.progress import LONG_PREFILL, PrefillLine


@pytest.fixture
def run(tmp_path):
    return partial(hd_edge, HD_EDGE_HOME=str(tmp_path / "home"))


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "document.txt"
    path.write_text("the river runs to the sea and the sea is wide. " * 40)
    return path


@pytest.fixture
def ask(run, smollm2_q4_0, document):
    def call(question, *more):
        shared = ("generate", "-m", smollm2_q4_0, "-n", 4, "--temp", 0, "-t", 1, "-c", 1024, "--json", "-q")
        done = run(*shared, "--prefix", document, "-p", question, *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_a_document_is_read_once(run, ask):
    first, second = ask("Where does it run?"), ask("How wide is it?")
    assert first["stats"]["cached_tokens"] == 0
    assert second["stats"]["prompt_tokens"] - second["stats"]["cached_tokens"] < 10
    known = json.loads(run("cache", "info", "--json").stdout)["models"]
    assert [model["tokens"] >= 400 for model in known] == [True]
    verified = run("cache", "verify")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert " 0 damaged" in verified.stdout
    cleared = run("cache", "clear")
    assert cleared.returncode == 0
    assert "deleted" in cleared.stderr
    assert json.loads(run("cache", "info", "--json").stdout)["models"] == []
    assert ask("How wide is it?")["stats"]["cached_tokens"] == 0


def test_no_prefix_cache_leaves_nothing(ask, tmp_path):
    ask("Where?", "--no-prefix-cache")
    assert not (tmp_path / "home" / "prefix").exists()


def test_an_empty_cache(run):
    assert run("cache", "info").stdout.splitlines()[-1] == "empty"
    assert run("cache", "verify").returncode == 0
    assert run("cache", "clear").returncode == 0


@pytest.mark.parametrize("verb", ["info", "verify", "clear"])
def test_a_named_folder_that_is_not_there(run, tmp_path, verb):
    done = run("cache", verb, "--folder", tmp_path / "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nosuch does not exist: give one that a model kept state in" in done.stderr


def test_damage_is_status_1(run, ask, tmp_path):
    ask("Where?")
    path = max((tmp_path / "home" / "prefix").glob("*/*.kv"), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    assert run("cache", "verify").returncode == 1
    assert run("cache", "verify").returncode == 0


def test_only_a_long_prompt_has_a_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line = PrefillLine()
    line.show(500, 1000, LONG_PREFILL / 4)
    line.close()
    assert capsys.readouterr().err == ""
    line.show(500, 2000, 5.0)
    line.close()
    shown = capsys.readouterr().err
    assert "500/2000 tokens  100 tok/s" in shown
    assert "0:15 left" in shown
