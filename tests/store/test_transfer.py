"""Merge, export and import of stores."""

import io
import json
import os
import random
from contextlib import closing
from dataclasses import replace

import pytest
from store_helpers import IDENTITY, answer, contents, rows_of
from vocabularies import PIECES, write_vocabulary

from hd_edge import _native
from hd_edge.cli.store_lines import lines
from hd_edge.cli.stores import in_turn
from hd_edge.errors import CorpusError, StoreBusyError, StoreError, StoreMismatchError
from hd_edge.model.vocabulary import Vocabulary, identify
from hd_edge.model.vocabulary_file import vocabulary_of
from hd_edge.store.merge import check_sources, merge
from hd_edge.store.report import report
from hd_edge.store.store import Store
from hd_edge.store.transfer import export, import_text

TEXTS = ["ab a ab a b", "ab a b b a ab", "a b ab ab a é"]


@pytest.fixture
def model(tmp_path):
    with vocabulary_of(write_vocabulary(tmp_path / "one.gguf")) as loaded:
        yield loaded


@pytest.fixture
def other_model(tmp_path):
    """The same text takes other tokens here: one more piece, all others moved."""
    pieces = [*PIECES[:259], "b a", *PIECES[259:]]
    with vocabulary_of(write_vocabulary(tmp_path / "two.gguf", pieces)) as loaded:
        yield loaded


def learn(store, vocabulary, texts):
    import numpy as np

    counter = _native.AnswerCounter(vocabulary.n_tokens)
    for text in texts:
        store.add(dict(counter.records(np.array(vocabulary.encode(text), np.int32), 0)))


def exported(store, vocabulary):
    out = io.StringIO()
    keys = export(store, vocabulary, store.identity, out)
    assert keys == out.getvalue().count("\n") - 1
    return out.getvalue()


def test_merge_adds_up(model, tmp_path):
    vocabulary, identity = Vocabulary(model), identify(model)
    with Store(tmp_path / "a", identity) as a, Store(tmp_path / "b", identity) as b, Store(None, identity) as both:
        learn(a, vocabulary, TEXTS[:2])
        learn(b, vocabulary, TEXTS[1:])
        learn(both, vocabulary, [*TEXTS[:2], *TEXTS[1:]])
        merge(a, [b])
        assert contents(a) == contents(both)
        assert a.counters()["answers"] == 4


def test_no_store_is_merged_twice(tmp_path):
    """Under whatever name: of a link or a hard link, or already open."""
    paths = [tmp_path / name for name in ("a", "link", "hard")]
    with Store(paths[0], IDENTITY) as a:
        a.add(rows_of(answer(1)))
        paths[1].symlink_to(paths[0])
        os.link(paths[0], paths[2])
        before = dict(a.scan())
        for path in paths:
            with Store(path, read_only=True) as again, Store(None, IDENTITY) as new:
                for into, sources in ((a, [again]), (new, [a, again])):
                    with pytest.raises(StoreError, match="one file"):
                        merge(into, sources)
                with pytest.raises(StoreError, match="one file"):
                    check_sources([a, again], IDENTITY)
                assert len(new) == 0
        with Store(None, IDENTITY) as memory, pytest.raises(StoreError, match="one file"):
            merge(a, [memory, memory])
        assert dict(a.scan()) == before


def test_a_merge_takes_no_half_of_an_answer_that_is_learned_meanwhile(tmp_path):
    source, other = Store(tmp_path / "source.sqlite3", IDENTITY), Store(tmp_path / "source.sqlite3", IDENTITY)
    source.add(rows_of(answer(1)))
    before, scan = contents(source), source.scan
    other.file.write_timeout = 0.0

    def learned_meanwhile():
        for number, found in enumerate(scan()):
            if number == 3:
                with pytest.raises(StoreBusyError):
                    other.add(rows_of(answer(2)))
            yield found

    source.scan = learned_meanwhile
    with closing(source), closing(other), Store(tmp_path / "into.sqlite3", IDENTITY) as into:
        merge(into, [source])
        assert contents(into) == before
        assert into.counters()["answers"] == 1
        other.file.write_timeout = 5.0
        other.add(rows_of(answer(2)))  # the lock is gone


def test_a_merge_that_fails_halfway_adds_nothing(model, tmp_path):
    """The second source is lost after it was looked at, as a disk may be."""
    vocabulary, identity = Vocabulary(model), identify(model)
    with Store(tmp_path / "a", identity) as a, Store(tmp_path / "b", identity) as b, Store(None, identity) as lost:
        learn(a, vocabulary, TEXTS[:2])
        learn(b, vocabulary, TEXTS[1:])
        before = dict(a.scan())
        lost.close()
        with pytest.raises(StoreError, match="closed"):
            merge(a, [b, lost])
        assert dict(a.scan()) == before
        assert a.counters()["answers"] == 2


def test_merge_of_another_tokenizer_is_refused(model, other_model, tmp_path):
    with (
        Store(None, identify(model)) as a,
        Store(None, identify(other_model)) as b,
        pytest.raises(StoreMismatchError, match="another tokenizer"),
    ):
        merge(a, [b])


def test_export_to_the_same_tokenizer_is_exact(model):
    vocabulary, identity = Vocabulary(model), identify(model)
    with Store(None, identity) as store, Store(None, identity) as again:
        learn(store, vocabulary, TEXTS * 3)
        text = exported(store, vocabulary)
        import_text(again, vocabulary, io.StringIO(text))
        assert dict(again.scan()) == dict(store.scan())
        assert exported(again, vocabulary) == text


def test_a_store_of_another_tokenizer_is_not_exported(model):
    """Not even where both have as many tokens."""
    own = identify(model)
    other = replace(own, tokenizer="0" * 64, name="another")
    with (
        Store(None, other) as store,
        pytest.raises(StoreMismatchError, match=rf"of another \(tokenizer 0+, .*{own.name}"),
    ):
        export(store, Vocabulary(model), own, io.StringIO())


def test_export_is_text_that_people_can_read(model):
    vocabulary = Vocabulary(model)
    with Store(None, identify(model)) as store:
        learn(store, vocabulary, ["ab a b"])
        lines = [json.loads(line) for line in exported(store, vocabulary).splitlines()]
    assert lines[0]["format"] == "hd_edge n-grams"
    assert {"key": " ab a", "next": [[" ", 1]], "total": 1} in [
        {name: line[name] for name in ("key", "next", "total")} for line in lines[1:]
    ]


def test_an_import_counts_the_same_however_much_is_packed_at_a_time(model, tmp_path, monkeypatch):
    """A tokenizer that ends a token elsewhere finds one key in lines that are far apart."""
    vocabulary, found = Vocabulary(model), []
    with Store(None, identify(model)) as store:
        words = random.Random(1).choices(["a", "b", "ab", "é"], k=200)
        learn(store, vocabulary, [" ".join(words)])
        text = exported(store, vocabulary)
    longer = write_vocabulary(tmp_path / "two.gguf", [*PIECES[:259], "b\u2581a", *PIECES[259:]])
    with vocabulary_of(longer) as other:
        for batch in (10_000, 1):
            monkeypatch.setattr("hd_edge.store.transfer.BATCH", batch)
            with Store(None, identify(other)) as target:
                import_text(target, Vocabulary(other), io.StringIO(text))
                found.append(dict(target.scan()))
    assert found[0] == found[1]
    assert len(found[0]) > 5


def test_import_by_another_tokenizer_counts_its_own_tokens(model, other_model):
    vocabulary, other = Vocabulary(model), Vocabulary(other_model)
    with Store(None, identify(model)) as store, Store(None, identify(other_model)) as target:
        learn(store, vocabulary, ["ab a ab a ab a"])
        assert import_text(target, other, io.StringIO(exported(store, vocabulary))) > 0
        text = [other.decode(context) + other.decode([token]) for context, f in contents(target).items() for token in f]
        assert any("ab a ab" in item for item in text)
        ids = other.encode("ab a ab")
        assert ids[-1] in contents(target)[tuple(ids[-2:-1])]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json\n",
        '{"format": "something else"}\n',
        '{"format": "hd_edge n-grams", "version": 9}\n',
        "[]\n",
    ],
)
def test_what_is_no_export_is_refused(model, text):
    with Store(None, identify(model)) as store, pytest.raises(CorpusError, match="first line"):
        import_text(store, Vocabulary(model), io.StringIO(text))


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "{}",
        '{"key": "a", "next": [["b", 1]], "total": 1, "ids": [[1, 99999], [3]]}',
        '{"key": "a", "next": [["b", 1]], "total": 1, "ids": [[1, 2], [99999]]}',
        '{"key": "a", "next": [["b", -1]], "total": 1, "ids": [[1, 2], [3]]}',
        '{"key": "a", "next": [["b", 1]], "total": 1, "ids": [[1, 2, 3, 4, 5], [3]]}',
        '{"key": "a", "next": [["b", 1]], "total": "x", "ids": [[1], [3]]}',
        '{"key": "a", "next": [], "total": 1, "ids": [[1], []]}',
        '{"key": "a", "next": [["b", 99999999999]], "total": 1, "ids": [[1], [3]]}',
    ],
)
def test_bad_line_is_refused_and_nothing_is_learned(model, line, monkeypatch):
    monkeypatch.setattr("hd_edge.store.transfer.BATCH", 1)  # much was added before it is met
    vocabulary, identity = Vocabulary(model), identify(model)
    with Store(None, identity) as store, Store(None, identity) as empty:
        learn(store, vocabulary, TEXTS)
        text = exported(store, vocabulary) + line + "\n"
        with pytest.raises(CorpusError):
            import_text(empty, vocabulary, io.StringIO(text))
        assert len(empty) == 0


def test_a_merge_adds_every_count(tmp_path):
    numbers = {"corpus.tokens": 70, "corpus.texts": 3, "count.model.drafted": 5}
    for kind in ("statistics", "model"):
        paths = [tmp_path / f"{kind}-{number}" for number in range(3)]
        for number, path in enumerate(paths[:2]):
            with Store(path, IDENTITY, kind=kind) as store:
                store.set_meta({name: count + number for name, count in numbers.items()})
        with Store(paths[2], IDENTITY, kind=kind) as into:
            merge(into, in_turn(paths[:2]))
            added = into.numbers()
        assert {name: added[name] for name in numbers} == {name: 2 * count + 1 for name, count in numbers.items()}
        (line, *_) = [line for line in lines(report(paths[2])) if "records" in line]
        assert line.endswith("from 141 tokens") is (kind == "statistics")
