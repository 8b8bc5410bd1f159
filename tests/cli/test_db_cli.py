"""``hd-edge db``: every command on small stores, results for programs, exit statuses."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from db_command import run, run_json
from foreign_files import FOREIGN, snapshot
from store_helpers import contents, run_sql

from hd_edge.cli import cli, main
from hd_edge.errors import CorpusError, StoreCorruptError, StoreMismatchError
from hd_edge.store.safety import default_path
from hd_edge.store.store import Store

TEXTS = ["ab a ab a b", "ab a b b a ab", "a b ab ab a"]


def test_info_without_any_store(model):
    assert run_json("info") == {"stores": []}


def test_info_tells_sizes_rates_and_texts(model, store):
    (report,) = run_json("info", "-m", model)["stores"]
    assert report["kind"] == "model"
    assert report["answers"] == 3
    assert report["bytes"] == store.stat().st_size
    assert report["tiers"]["model"]["acceptance_rate"] == 0.75
    assert report["continuations"][0]["count"] >= report["continuations"][-1]["count"] >= 1
    assert run_json("info")["stores"][0]["path"] == str(store)
    text = run("info", "-m", model, "--top", 2)
    assert "3 answers" in text
    assert "accepted 75%" in text


def test_info_tells_no_texts_of_another_tokenizer(model, identity, store):
    """Not even where both have as many tokens."""
    run_sql(store, f"UPDATE meta SET value = '{'0' * 64}' WHERE name = 'tokenizer'")
    (report,) = run_json("info", "-m", model, "--store", store)["stores"]
    assert (report["answers"], report["n_vocab"]) == (3, identity.n_vocab)
    assert "continuations" not in report


def test_info_of_a_damaged_store_says_what_is_wrong(model, store):
    store.write_bytes(b"x" * 5000)
    (report,) = run_json("info")["stores"]
    assert "application id" in report["error"]
    for arguments, status in ((["info", "--store", store], 1), (["info"], 0)):
        told = CliRunner().invoke(cli, ["db", *map(str, arguments)])
        assert (told.exit_code, told.stdout) == (status, "")
        assert "application id" in told.stderr


def test_build_statistics_from_stdin(model, identity):
    lines = "".join(json.dumps({"text": t}) + "\n" for t in TEXTS)
    result = run_json("build-statistics", "-m", model, "-", input=lines)
    assert result["texts"] == 3
    assert result["store"] == str(default_path(identity, "statistics"))
    (report,) = run_json("info", "-m", model)["stores"]
    assert report["kind"] == "statistics"
    assert report["corpus_tokens"] == result["tokens"]


def test_build_statistics_without_text_fails(model, tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"body": "ab"}\n')
    with pytest.raises(CorpusError, match="field"):
        run("build-statistics", "-m", model, path)
    path.with_name("other.txt").write_text("ab ab ab\n")  # is not asked to throw away what was begun
    run("build-statistics", "-m", model, path.with_name("other.txt"))


def test_verify_finds_damage(model, store):
    assert run_json("verify", store)["sound"]
    run_sql(store, "UPDATE ngrams SET record = x'0107' WHERE key = (SELECT max(key) FROM ngrams)")
    result = run_json("verify", store, status=1)
    assert len(result["findings"]) == 1
    assert result["findings"][0].startswith("record ")
    store.write_bytes(store.read_bytes()[:-512])
    with pytest.raises(StoreCorruptError):
        run("verify", store)


def test_export_import_merge(model, store, tmp_path):
    text = run("export", store, "-m", model)
    (tmp_path / "export.jsonl").write_text(text)
    again = tmp_path / "again.sqlite3"
    run("import", again, tmp_path / "export.jsonl", "-m", model)
    assert run("export", again, "-m", model) == text
    both = tmp_path / "both.sqlite3"
    run("merge", both, store, again)
    with Store(both) as merged, Store(store) as single:
        doubled = {c: {t: 2 * n for t, n in f.items()} for c, f in contents(single).items()}
        assert contents(merged) == doubled


@pytest.mark.parametrize("text", ["", "{}\n", "hello\n", "[" * 99_999])
def test_nothing_to_import_makes_no_store(model, tmp_path, text):
    new = tmp_path / "new.sqlite3"
    with pytest.raises(CorpusError, match="the first line is not the header") as refused:
        run("import", new, "-", "-m", model, input=text)
    assert str(refused.value).endswith(repr(text[:60]))  # the line, and no word of Python's
    assert not new.exists()


@pytest.mark.parametrize("tear", [lambda text: text[:-20], lambda text: text + "{}\n", lambda text: text + '{"key": '])
def test_a_torn_export_changes_nothing(model, store, tmp_path, tear):
    run("export", store, "-o", tmp_path / "whole.jsonl", "-m", model)
    torn, new = tmp_path / "torn.jsonl", tmp_path / "new.sqlite3"
    torn.write_text(tear((tmp_path / "whole.jsonl").read_text()))
    before = store.read_bytes()
    for target in (new, store):
        with pytest.raises(
            CorpusError, match=r"is not of an export .not JSON with the fields key, next, total and ids: '"
        ):
            run("import", target, torn, "-m", model)
    assert not new.exists()
    assert store.read_bytes() == before


def test_prune_and_purge(model, store, tmp_path):
    assert run_json("prune", store)["dropped"] == 0
    store.with_name(store.name + ".corrupt-1").write_text("old")
    run("purge", store, input="n\n", status=1)
    with Store(store) as opened:
        assert len(opened) > 0
    result = CliRunner().invoke(cli, ["db", "purge", str(store), "--yes"])
    assert "a damaged copy is still there" in result.stderr
    with Store(store) as opened:
        assert len(opened) == 0


def test_usage_errors(model, tmp_path):
    run("verify", tmp_path / "missing", status=2)
    run("export", model, status=2)
    run("nonsense", status=2)


@pytest.mark.parametrize(
    "verb", ["info", "build-model", "build-statistics", "merge", "export", "import", "prune", "verify", "purge"]
)
def test_every_command_has_help(verb):
    assert "Usage" in run(verb, "-h")


HOSTILE_NAME = "\x1b]0;owned\x07\x9b2J\u202etxt"


def test_info_shows_hostile_values_as_text(model, store):
    run_sql(
        store,
        "INSERT OR REPLACE INTO meta VALUES ('corpus.tokens', 'x'), ('count.answers', 'many'), ('count.x', 1e300)",
        "UPDATE meta SET value = '" + HOSTILE_NAME + "' WHERE name = 'name'",
    )
    text = run("info", "--store", store)
    assert "0 answers" in text
    assert "\\x1b]0;owned\\x07\\x9b2J\\u202etxt" in text
    assert all(c.isprintable() or c == "\n" for c in text)
    (report,) = run_json("info", "--store", store)["stores"]
    assert report["model"] == HOSTILE_NAME
    assert all(c.isprintable() or c == "\n" for c in run("info", "--store", store, "--json"))


def test_statistics_with_text_for_a_number(model, identity, tmp_path):
    path = tmp_path / "s.sqlite3"
    Store(path, identity, kind="statistics").close()
    run_sql(path, "INSERT INTO meta VALUES ('corpus.tokens', 'x')")
    assert "0 tokens" in run("info", "--store", path)


def test_errors_show_what_a_file_says_as_text(model, store):
    with pytest.raises(StoreMismatchError) as caught, Store(store) as opened:
        replace(opened.identity, name=HOSTILE_NAME, architecture="z").check(opened.identity, of="it", any_model=False)
    assert "\\x1b]0;owned" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "verb", ["info --store", "merge", "export", "import", "prune", "verify", "purge", "purge --yes"]
)
@pytest.mark.parametrize("make", [make for name, make in FOREIGN.items() if name != "fifo"])
def test_no_command_touches_a_foreign_file(model, store, tmp_path, capsys, monkeypatch, verb, make):
    folder = tmp_path / "mine"
    folder.mkdir()
    path = folder / "notes.db"
    make(path)
    before = snapshot(folder)
    (tmp_path / "export.jsonl").write_text(run("export", store, "-m", model))
    more = {"merge": [store], "export": ["-m", model], "import": [tmp_path / "export.jsonl", "-m", model]}
    arguments = ["hd-edge", "db", *verb.split(), path, *more.get(verb, [])]
    monkeypatch.setattr("sys.argv", list(map(str, arguments)))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert "no store of hd_edge" in said.err
    assert said.out == ""
    assert snapshot(folder) == before


def test_import_of_bytes_that_are_no_text(model, tmp_path):
    (tmp_path / "bad.jsonl").write_bytes(b'{"format": "\xff"}\n')
    with pytest.raises(CorpusError, match="line 1"):
        run("import", tmp_path / "new.sqlite3", tmp_path / "bad.jsonl", "-m", model)


def test_a_line_that_no_export_has_is_not_read_whole(model, store, tmp_path, monkeypatch):
    monkeypatch.setattr("hd_edge.cli.db.MOST_LINE", 2**16)
    text = run("export", store, "-m", model).rstrip("\n") + " " * 2**16 + "\n"
    with pytest.raises(CorpusError, match="is not of an export"):
        run("import", tmp_path / "new.sqlite3", "-", "-m", model, input=text)
