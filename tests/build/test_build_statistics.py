"""Building a statistics tier: exact counts, bounded pieces, interruption, bad input."""

import io
import json

import numpy as np
import pytest
from store_helpers import contents

from hd_edge import _native
from hd_edge.build import statistics as build_statistics
from hd_edge.build.corpus import BLOCK, Corpus, pieces
from hd_edge.build.statistics import StatisticsBuild
from hd_edge.errors import CorpusError, StoreError
from hd_edge.model.vocabulary import Vocabulary
from hd_edge.model.vocabulary_file import vocabulary_of
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.store.upkeep import verify
from hd_edge.tiers.statistics import StatisticsTier

TEXTS = ["ab a ab a b", "a", "", "ab a ab b a ab a ab", "zz ab a \n ab a", "é ab a"] * 20


@pytest.fixture
def corpus_file(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


def slow_counts(model, texts, min_count=2):
    counts = {}
    with vocabulary_of(model) as loaded:
        vocabulary = Vocabulary(loaded)
        for text in texts:
            tokens = vocabulary.encode(text)
            for i in range(1, len(tokens)):
                for length in (1, 2, 3, 4, 6, 8):
                    if length <= i:
                        followers = counts.setdefault(tuple(tokens[i - length : i]), {})
                        followers[tokens[i]] = followers.get(tokens[i], 0) + 1
    return {
        context: followers
        for context, followers in counts.items()
        if len(context) <= 2 or sum(followers.values()) >= min_count
    }


def counts_of(path):
    with Store(path, kind="statistics", read_only=True) as store:
        assert verify(store) == []
        return contents(store)


def small_runs(monkeypatch, share):
    """A budget that the tests' corpus exceeds many times."""
    monkeypatch.setattr(build_statistics, "TOKEN_SHARE", share)
    monkeypatch.setattr(build_statistics, "BATCH", 40)


def test_counts_are_exact(model, corpus_file, tmp_path):
    out = tmp_path / "out" / "statistics.sqlite3"
    result = StatisticsBuild(model, Corpus([corpus_file]), out).run()
    assert counts_of(out) == slow_counts(model, TEXTS)
    assert result["texts"] == len(TEXTS)
    assert result["file_bytes"] == out.stat().st_size
    assert sorted(p.name for p in out.parent.iterdir()) == [out.name]  # no scratch left
    with Store(out, kind="statistics", read_only=True) as store:
        assert store.meta()["corpus.tokens"] == result["tokens"]
        assert len(store) == result["records"]


@pytest.mark.parametrize(("memory", "complete"), [(1 << 20, True), (4000, False)])
def test_frequent_rows_are_there_before_they_are_asked_for(model, corpus_file, tmp_path, monkeypatch, memory, complete):
    monkeypatch.setattr(build_statistics, "PRELOADED_MEMORY", memory)
    out = tmp_path / "statistics.sqlite3"
    StatisticsBuild(model, Corpus([corpus_file]), out).run()
    store = Store(out, kind="statistics", read_only=True)
    tier = StatisticsTier(SafeStore(out, store.identity, kind="statistics", learn=False))
    totals = {key: _native.record_total(key, row, store.identity.n_vocab) for key, row in store.scan()}
    assert tier.cache.complete == complete
    loaded = {key for key in totals if tier.cache.known(key)}
    assert loaded
    assert (loaded == totals.keys()) == complete
    assert all(totals[key] >= totals[other] for key in loaded for other in totals.keys() - loaded)
    assert tier.lookups == 0
    tier.close()


def test_many_runs_give_the_same_file(model, corpus_file, tmp_path, monkeypatch):
    small_runs(monkeypatch, 1e-6)
    monkeypatch.setattr(build_statistics, "MAX_RUNS", 4)  # and merges in between
    out = tmp_path / "statistics.sqlite3"
    seen = []
    StatisticsBuild(model, Corpus([corpus_file]), out, progress=seen.append).run()
    assert counts_of(out) == slow_counts(model, TEXTS)


@pytest.mark.parametrize("stop_after", [1, 3, 7])
def test_interrupted_build_goes_on(model, corpus_file, tmp_path, monkeypatch, stop_after):
    small_runs(monkeypatch, 1e-6)
    out = tmp_path / "statistics.sqlite3"
    build = StatisticsBuild(model, Corpus([corpus_file]), out)
    spills = []
    spill = build._spill

    def stopping(*args):
        spill(*args)
        spills.append(1)
        if len(spills) == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(build, "_spill", stopping)
    with pytest.raises(KeyboardInterrupt):
        build.run()
    assert not out.exists()
    manifest = json.loads((tmp_path / "statistics.sqlite3.building" / "manifest.json").read_text())
    assert 0 < manifest["units"] < len(TEXTS)
    (tmp_path / "statistics.sqlite3.building" / ".hd_edge-ab12cd_3").touch()  # killed while it made the store
    StatisticsBuild(model, Corpus([corpus_file]), out).run()
    assert counts_of(out) == slow_counts(model, TEXTS)


def test_killed_build_loses_its_open_run_only(model, corpus_file, tmp_path, monkeypatch):
    small_runs(monkeypatch, 1e-6)
    out = tmp_path / "statistics.sqlite3"
    build = StatisticsBuild(model, Corpus([corpus_file]), out)
    real = build_statistics.Manifest.save
    saves = []

    def dying(manifest, folder):
        if len(saves) >= 2:
            raise SystemExit  # as if killed: the run is written, the manifest is not
        saves.append(1)
        real(manifest, folder)

    monkeypatch.setattr(build_statistics.Manifest, "save", dying)
    with pytest.raises(SystemExit):
        build.run()
    monkeypatch.setattr(build_statistics.Manifest, "save", real)
    StatisticsBuild(model, Corpus([corpus_file]), out).run()
    assert counts_of(out) == slow_counts(model, TEXTS)


def test_other_settings_are_not_mixed_in(model, corpus_file, tmp_path, monkeypatch):
    out = tmp_path / "statistics.sqlite3"
    build = StatisticsBuild(model, Corpus([corpus_file]), out)
    monkeypatch.setattr(build, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        build.run()
    corpus_file.write_text(json.dumps({"text": "ab ab"}) + "\n")
    with pytest.raises(CorpusError, match=r"other settings \(sources\)"):
        StatisticsBuild(model, Corpus([corpus_file]), out).run()
    StatisticsBuild(model, Corpus([corpus_file]), out).run(restart=True)
    assert counts_of(out) == slow_counts(model, ["ab ab"])


def test_plain_text_and_stdin(model, tmp_path, monkeypatch):
    text = "ab a ab a\n" * 50
    (tmp_path / "a.txt").write_text(text)
    out = tmp_path / "statistics.sqlite3"
    StatisticsBuild(model, Corpus([tmp_path / "a.txt"]), out).run()
    assert counts_of(out) == slow_counts(model, [text])

    class Stdin:
        buffer = io.BytesIO("".join(json.dumps({"body": t}) + "\n" for t in TEXTS).encode())

    monkeypatch.setattr("sys.stdin", Stdin)
    StatisticsBuild(model, Corpus(["-"], "body"), out).run()
    assert counts_of(out) == slow_counts(model, TEXTS)


def test_lines_without_text_are_counted_not_learned(model, tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"text": "ab a"}\nnot json\n{"other": "x"}\n{"text": 5}\n"ab ab"\n\n[1]\n')
    result = StatisticsBuild(model, Corpus([path]), tmp_path / "out.sqlite3").run()
    assert result["skipped"] == 4
    assert counts_of(tmp_path / "out.sqlite3") == slow_counts(model, ["ab a", "ab ab"])


def test_corpus_without_text_is_an_error(model, tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"body": "ab"}\n')
    with pytest.raises(CorpusError, match="field 'text'"):
        StatisticsBuild(model, Corpus([path]), tmp_path / "out.sqlite3").run()
    with pytest.raises(CorpusError, match="not a file"):
        Corpus([tmp_path / "missing.txt"])
    with pytest.raises(CorpusError, match="memory"):
        StatisticsBuild(model, Corpus([path]), tmp_path / "out.sqlite3", memory=1)


def test_damaged_run_is_an_error_that_says_what_to_do(model, corpus_file, tmp_path, monkeypatch):
    out = tmp_path / "statistics.sqlite3"
    build = StatisticsBuild(model, Corpus([corpus_file]), out)
    write = build._write

    def damaged(identity, manifest):
        run = build.folder / manifest.runs[0]
        run.write_bytes(run.read_bytes()[:-1] + b"\xff")
        return write(identity, manifest)

    monkeypatch.setattr(build, "_write", damaged)
    with pytest.raises(StoreError, match=r"run-0.*damaged"):
        build.run()


@pytest.mark.parametrize("text", [b"", b"x" * (3 * BLOCK), b"word " * BLOCK, "é".encode() * BLOCK, b"line\n" * BLOCK])
def test_pieces_are_bounded_and_lose_nothing(tmp_path, text):
    cut = list(pieces(text))
    assert b"".join(cut) == text
    assert all(0 < len(piece) <= BLOCK for piece in cut)
    for piece in cut:
        piece.decode()
    path = tmp_path / "a.txt"
    path.write_bytes(text)
    units = list(Corpus([path]).units())
    assert b"".join(unit.text for unit in units) == text
    assert all(len(unit.text) <= BLOCK for unit in units)
    assert [u.text for u in Corpus([path]).units(2)] == [u.text for u in units[2:]]


def test_overlong_line_of_json_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr("hd_edge.build.corpus.MAX_LINE", 100)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x" * 500}) + "\n" + json.dumps({"text": "ab"}) + "\n")
    units = list(Corpus([path]).units())
    assert [(u.text, u.skipped) for u in units] == [(b"", True), (b"ab", False)]


def test_tokens_of_threads_are_those_of_one(model):
    with vocabulary_of(model) as loaded:
        vocabulary = Vocabulary(loaded)
        buffers = [_native.CorpusBuffer(vocabulary.n_tokens) for _ in range(2)]
        texts = [text.encode() for text in TEXTS]
        counts = [b.add_texts(vocabulary.native, texts, n) for b, n in zip(buffers, (1, 4), strict=True)]
        assert counts[0] == counts[1] == sum(len(vocabulary.encode(text)) for text in TEXTS)
        assert len(buffers[0]) == len(buffers[1])
        with pytest.raises(ValueError, match="threads"):
            buffers[0].add_texts(vocabulary.native, texts, 0)
        with pytest.raises(ValueError, match="vocabulary"):
            buffers[0].add(np.array([vocabulary.n_tokens], np.int32))


def test_build_whose_files_were_half_removed_begins_anew(model, corpus_file, tmp_path, monkeypatch):
    small_runs(monkeypatch, 1e-6)
    out = tmp_path / "statistics.sqlite3"

    def failing(folder):
        next(folder.glob("run-*")).unlink()
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(build_statistics.Manifest, "remove", staticmethod(failing))
        with pytest.raises(StoreError, match="run the same command again"):
            StatisticsBuild(model, Corpus([corpus_file]), out).run()
    StatisticsBuild(model, Corpus([corpus_file]), out).run()
    assert counts_of(out) == slow_counts(model, TEXTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus.jsonl", out.name]
