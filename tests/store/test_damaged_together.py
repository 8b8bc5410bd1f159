"""Several processes meet one damaged file: it is moved once, and what another has begun in its place stays there."""

import pytest
from store_helpers import IDENTITY, answer, asides, rows_of

from hd_edge.errors import StoreForeignError, StoreWarning
from hd_edge.store import file as store_file
from hd_edge.store import ownership, safety
from hd_edge.store.aside import move_aside, standing
from hd_edge.store.ownership import check_beside
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store


@pytest.fixture
def damaged(filled_store):
    data = filled_store.read_bytes()
    filled_store.write_bytes(data[:100] + b"\xff" * (len(data) - 100))
    return filled_store


def answers(path):
    with Store(path, IDENTITY) as store:
        return store.counters().get("answers", 0)


def begin_anew(path):
    """What another process does that finds the file damaged a moment earlier."""
    other = SafeStore(path, IDENTITY)
    other.write(lambda store: store.add(rows_of(answer(1))) and None)
    other.close()


def first(monkeypatch, module, name, act):
    """Before the first call of a function something happens."""
    real, calls = getattr(module, name), []

    def late(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            act()
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, late)


@pytest.mark.parametrize("moment", ["may_move", "move_aside"])
def test_a_store_that_another_process_began_anew_stays(damaged, monkeypatch, moment):
    before = damaged.read_bytes()
    first(monkeypatch, safety, moment, lambda: begin_anew(damaged))
    with pytest.warns(StoreWarning, match="it was moved to") as told:
        safe = SafeStore(damaged, IDENTITY)
    assert len(told) == 1  # by whoever moved it
    assert safe.write(lambda store: store.add(rows_of(answer(2))) and None)
    safe.close()
    assert answers(damaged) == 2
    assert [path.read_bytes() for path in asides(damaged)] == [before]


def test_a_store_found_damaged_in_use_is_moved_once(filled_store, monkeypatch):
    size = filled_store.stat().st_size
    safe = SafeStore(filled_store, IDENTITY)
    filled_store.write_bytes(filled_store.read_bytes()[:100] + b"\xff" * (size - 100))
    first(monkeypatch, safety, "move_aside", lambda: begin_anew(filled_store))
    with pytest.warns(StoreWarning):
        assert safe.write(lambda store: store.add(rows_of(answer(2))) and None)
    safe.close()
    assert answers(filled_store) == 2
    assert [path.stat().st_size for path in asides(filled_store)] == [size]


def test_a_store_that_is_moved_while_it_is_opened_begins_anew_on_the_disk(filled_store, tmp_path, monkeypatch):
    first(monkeypatch, store_file, "connect", lambda: filled_store.rename(tmp_path / "moved"))
    safe = SafeStore(filled_store, IDENTITY)
    assert safe.write(lambda store: store.add(rows_of(answer(2))) and None)
    safe.close()
    assert answers(filled_store) == 1


def test_a_store_that_is_replaced_while_it_is_opened_is_the_new_one(filled_store, store_path, tmp_path, monkeypatch):
    new = tmp_path / "new.sqlite3"
    Store(new, IDENTITY).close()
    first(monkeypatch, store_file, "set_timeout", lambda: new.replace(filled_store))
    with Store(filled_store, IDENTITY) as store:
        assert store.file.in_place()
        assert len(store) == 0


def test_an_answer_whose_store_is_moved_while_it_is_written_is_learned_by_the_new_one(filled_store, tmp_path):
    safe = SafeStore(filled_store, IDENTITY)
    tried = []

    def write(store):
        tried.append(store)
        if len(tried) == 1:
            filled_store.rename(tmp_path / "moved")
        store.add(rows_of(answer(2)))

    with pytest.warns(StoreWarning, match="begins anew"):
        assert safe.write(write)
    safe.close()
    assert answers(filled_store) == 1


def test_a_file_in_the_way_is_moved_but_no_newer_one(store_path):
    journal = store_path.with_name(store_path.name + "-journal")
    journal.write_text("in the way")
    found = standing(store_path)
    journal.rename(journal.with_name("old"))  # or its inode would be given to the next one
    journal.write_text("of somebody who is writing")
    assert move_aside(store_path, found) is None
    assert journal.read_text() == "of somebody who is writing"
    aside = move_aside(store_path, standing(store_path))
    assert not journal.exists()
    assert aside.with_name(aside.name + "-journal").read_text() == "of somebody who is writing"


def test_a_journal_that_vanishes_between_two_looks_is_nobodys(filled_store, monkeypatch):
    """Another process ends its transaction: it was there when it was looked for, and not when it was looked at."""
    real = ownership.os.path.lexists
    monkeypatch.setattr(ownership.os.path, "lexists", lambda path: real(path) or str(path).endswith("-journal"))
    check_beside(filled_store)


def test_what_looks_damaged_for_a_moment_is_looked_at_again(filled_store, monkeypatch):
    failed = []

    def once(*args, **kwargs):
        if not failed:
            failed.append(1)
            raise StoreForeignError("for a moment")
        return Store(*args, **kwargs)

    monkeypatch.setattr(safety, "Store", once)
    safe = SafeStore(filled_store, IDENTITY, default=True)
    safe.close()
    assert failed
    assert not asides(filled_store)
    assert answers(filled_store) > 0
