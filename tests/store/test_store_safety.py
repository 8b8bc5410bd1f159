"""Bad files: typed errors for those who open a store, one warning and the same life for those who only generate."""

import random
import sqlite3

import pytest
from store_helpers import IDENTITY, OTHER_TOKENIZER, answer, asides, rows_of, run_sql, use

from hd_edge.errors import StoreCorruptError, StoreForeignError, StoreWarning
from hd_edge.store.aside import move_aside, standing
from hd_edge.store.safety import SafeStore
from hd_edge.store.schema import SCHEMA_VERSION
from hd_edge.store.store import Store
from hd_edge.store.upkeep import verify


def test_sound_file_gives_no_warning(filled_store):
    assert use(filled_store) == []
    assert asides(filled_store) == []


def test_every_truncation_is_survived(filled_store, tmp_path):
    whole = filled_store.read_bytes()
    for size in range(0, len(whole), 512):
        cut = tmp_path / f"cut-{size}.sqlite3"
        cut.write_bytes(whole[:size])
        if size == 0:  # nothing says that it was a store of ours
            with pytest.raises(StoreForeignError):
                use(cut)
            continue
        said = use(cut)
        assert len(said) <= 1
        moved = [p for p in asides(cut) if p.name.startswith(cut.name)]
        assert [p.read_bytes() for p in moved] == [whole[:size]], size
        with Store(cut, IDENTITY) as store:
            assert verify(store) == []


def test_random_damage_is_survived(filled_store, tmp_path):
    whole = filled_store.read_bytes()
    generator = random.Random(4)
    for round_ in range(60):
        damaged = bytearray(whole)
        for _ in range(generator.choice([1, 10, 200])):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        target = tmp_path / f"damaged-{round_}.sqlite3"
        target.write_bytes(damaged)
        try:
            use(target)
        except StoreForeignError:  # the damage took the header or the application id
            assert target.read_bytes() == damaged
        for aside in asides(target):
            aside.unlink()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE ngrams ADD COLUMN evil DEFAULT (1)",
        "DROP TABLE built",
        "PRAGMA user_version=0",
    ],
)
def test_changed_tables_are_never_used(filled_store, statement):
    run_sql(filled_store, statement)
    with pytest.raises(StoreCorruptError, match="schema"):
        Store(filled_store, IDENTITY)
    assert len(use(filled_store)) == 1
    assert len(asides(filled_store)) == 1


def test_table_replaced_by_a_view_is_never_read(filled_store):
    run_sql(
        filled_store,
        "DROP TABLE ngrams",
        "CREATE VIEW ngrams AS WITH RECURSIVE r(key) AS (SELECT 1 UNION ALL SELECT key+1 FROM r)"
        " SELECT key, 1 AS total, 1 AS seen, zeroblob(9) AS record FROM r",
    )
    with pytest.raises(StoreCorruptError, match="view ngrams"):
        Store(filled_store, IDENTITY)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ngrams SET record = 'text'",
        "UPDATE ngrams SET record = zeroblob(300000)",
        "UPDATE ngrams SET record = zeroblob(50)",
        "UPDATE ngrams SET record = 17, total = 'many', seen = -5",
        "UPDATE ngrams SET total = -9223372036854775807, seen = 9223372036854775807",
        "UPDATE ngrams SET key = -key",
        "UPDATE ngrams SET key = key + (1 << 55)",
        "UPDATE meta SET value = -3 WHERE name LIKE 'count.%'",
        "UPDATE meta SET value = 9223372036854775807 WHERE name LIKE 'count.%'",
        "INSERT INTO calibration VALUES ('mixer', 'text')",
        "INSERT INTO cost VALUES ('cpu', -1, 'x', -1e308, 0)",
        "INSERT INTO meta VALUES ('count.x', x'00')",
    ],
)
def test_hostile_values_count_as_absent(filled_store, statement):
    run_sql(filled_store, statement)
    with Store(filled_store, IDENTITY) as store:
        assert store.load_calibration() is None
        assert store.load_cost("cpu") == []
        verify(store)
    assert len(use(filled_store)) <= 1
    with Store(filled_store, IDENTITY) as store:
        rows = rows_of(answer(12), 5)
        for key in rows:
            assert store.fetch([key])[key] is not None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = 'x' WHERE name = 'n_vocab'",
        "UPDATE meta SET value = 0 WHERE name = 'n_vocab'",
        "DELETE FROM meta WHERE name = 'tokenizer'",
        "UPDATE meta SET value = x'ff' WHERE name = 'kind'",
        "UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE name = 'name'",
    ],
)
def test_file_that_does_not_say_whose_it_is_is_damaged(filled_store, statement):
    run_sql(filled_store, statement)
    with pytest.raises(StoreCorruptError):
        Store(filled_store, IDENTITY)
    assert len(use(filled_store)) == 1


def test_giant_record_count_in_a_valid_file_stays_in_bounds(store_path):
    with Store(store_path, IDENTITY) as store, store.file.writing() as db:
        db.conn.executemany("INSERT INTO ngrams VALUES (?, 1, 1, zeroblob(100))", ((key,) for key in range(200_000)))
    use(store_path)


def test_newer_and_mismatched_files_stay_where_they_are(filled_store):
    before = filled_store.read_bytes()
    with pytest.warns(StoreWarning, match="another tokenizer"):
        SafeStore(filled_store, OTHER_TOKENIZER).close()
    run_sql(filled_store, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer = filled_store.read_bytes()
    (said,) = use(filled_store)
    assert "upgrade hd_edge" in said
    assert filled_store.read_bytes() == newer != before
    assert asides(filled_store) == []


def test_moving_aside_takes_the_journal_along_and_overwrites_nothing(store_path):
    names = set()
    for text in ("one", "two"):
        store_path.write_text(text)
        store_path.with_name(store_path.name + "-journal").write_text("journal of " + text)
        names.add(move_aside(store_path, standing(store_path)))
    assert len(names) == 2
    assert sorted(p.read_text() for p in names) == ["one", "two"]
    assert not store_path.with_name(store_path.name + "-journal").exists()


def test_statistics_file_that_does_not_fit_is_left_out(store_path, tmp_path):
    assert SafeStore(store_path, IDENTITY, kind="statistics", learn=False, default=True).store is None
    with pytest.warns(StoreWarning, match="No such file"):
        assert SafeStore(store_path, IDENTITY, kind="statistics", learn=False).store is None
    Store(store_path, OTHER_TOKENIZER, kind="statistics").close()
    with pytest.warns(StoreWarning, match="another tokenizer"):
        assert SafeStore(store_path, IDENTITY, kind="statistics", learn=False).store is None
    (tmp_path / "text").write_text("x" * 5000)
    with pytest.warns(StoreWarning, match="application id"):
        assert SafeStore(tmp_path / "text", IDENTITY, kind="statistics", learn=False, default=True).store is None
    assert (tmp_path / "text").read_text() == "x" * 5000


def test_keys_out_of_order_end_a_scan(store_path):
    """Two pages changed places: going on behind the last key of what was read would never end."""
    with Store(store_path, IDENTITY) as store:
        for seed in range(12):
            store.add(rows_of(answer(seed, 400, kinds=300)))
    connection = sqlite3.connect(store_path)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ngrams'").fetchone()
    connection.close()
    data = bytearray(store_path.read_bytes())
    page = (root - 1) * 4096
    assert data[page] == 5  # an interior page: cells of a child's number and a key
    first, second = (page + int.from_bytes(data[page + at : page + at + 2], "big") for at in (12, 14))
    data[first : first + 4], data[second : second + 4] = data[second : second + 4], data[first : first + 4]
    store_path.write_bytes(data)
    with Store(store_path, IDENTITY, read_only=True) as store, pytest.raises(StoreCorruptError, match="out of order"):
        list(store.scan())
    (said,) = use(store_path)
    assert "out of order" in said
    assert len(asides(store_path)) == 1
