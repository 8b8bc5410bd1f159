"""What others keep in a store's file beside our tables: it is theirs, and no damage; what acts on ours is named."""

import sqlite3
from contextlib import closing

import pytest
from store_helpers import IDENTITY, answer, asides, rows_of, run_sql, use

from hd_edge.errors import StoreCorruptError, StoreError
from hd_edge.prefix.index import Index
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.store.upkeep import prune, purge, verify

BESIDE = {
    "statistics of the query planner": ("ANALYZE",),
    "a table": (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text)",
        "INSERT INTO notes (text) VALUES (1)",
    ),
    "a hundred tables": tuple(f"CREATE TABLE aaa{n} (x)" for n in range(100)),
    "a view": ("CREATE VIEW frequent AS SELECT key FROM ngrams WHERE total > 9",),
    "a view without end": (
        "CREATE VIEW v AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    ),
    "a virtual table": ("CREATE VIRTUAL TABLE f USING fts5(x)",),
    "an index": ("CREATE INDEX by_total ON ngrams (total)",),
    "an index by the key": ("CREATE INDEX by_key ON ngrams (key, record COLLATE NOCASE)",),
    "a trigger of another table": (
        "CREATE TABLE notes (x)",
        "CREATE TRIGGER log AFTER INSERT ON notes BEGIN DELETE FROM ngrams; END",
    ),
}
ACTING = {
    "trigger forget": "CREATE TRIGGER forget AFTER INSERT ON ngrams BEGIN DELETE FROM meta; END",
    "trigger Loud": "CREATE TRIGGER Loud BEFORE UPDATE ON META BEGIN SELECT RAISE(ABORT, 'no'); END",
    "index one": "CREATE UNIQUE INDEX one ON ngrams (total)",
    "index few": "CREATE INDEX few ON ngrams (seen) WHERE total > 9",
    "index computed": "CREATE INDEX computed ON ngrams (abs(total))",
}


@pytest.mark.parametrize("statements", BESIDE.values(), ids=BESIDE)
def test_what_stands_beside_our_tables_is_no_damage(filled_store, statements):
    try:
        run_sql(filled_store, *statements)
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite cannot make the file: {error}")
    assert use(filled_store) == []
    assert asides(filled_store) == []
    with Store(filled_store, IDENTITY) as store:
        assert all(store.fetch([key])[key] is not None for key in list(rows_of(answer(12), 5)))
        assert verify(store) == []
        prune(store, 1)
        purge(store)
    assert use(filled_store) == []


@pytest.mark.parametrize(("thing", "statement"), ACTING.items(), ids=ACTING)
def test_what_acts_on_our_tables_is_named_and_nothing_is_learned(filled_store, thing, statement):
    run_sql(filled_store, "DELETE FROM ngrams", "DELETE FROM meta WHERE name LIKE 'count.%'", statement)
    before = filled_store.read_bytes()
    kind, name = thing.split()
    with pytest.raises(StoreError, match=rf'has {thing}, .* until you DROP {kind.upper()} "{name}"') as error:
        Store(filled_store, IDENTITY)
    assert not isinstance(error.value, StoreCorruptError)
    (told,) = use(filled_store)
    assert thing in told
    assert "what is learned stays in memory" in told
    assert filled_store.read_bytes() == before
    assert asides(filled_store) == []
    run_sql(filled_store, f'DROP {kind} "{name}"')
    assert use(filled_store) == []


@pytest.mark.parametrize("table", ["ngrams", "notes"])
def test_an_index_that_calls_functions_is_no_damage_either(filled_store, table):
    """SQLite refuses the whole schema: nobody's functions run when a store is read."""
    run_sql(filled_store, "CREATE TABLE notes (record)", f"CREATE INDEX few ON {table} (json_valid(record))")
    with pytest.raises(StoreError, match=r"an index of somebody else that calls functions.*drop it .*\(few\)") as error:
        Store(filled_store, IDENTITY)
    assert not isinstance(error.value, StoreCorruptError)
    (told,) = use(filled_store)
    assert "what is learned stays in memory" in told
    assert asides(filled_store) == []


@pytest.mark.parametrize("learn", [True, False])
def test_a_statistics_file_may_have_company_too(tmp_path, learn):
    path = tmp_path / "statistics.sqlite3"
    Store(path, IDENTITY, kind="statistics").close()
    run_sql(path, "CREATE TABLE notes (x)", "ANALYZE")
    with closing(SafeStore(path, IDENTITY, kind="statistics", learn=learn)) as safe:
        assert safe.store is not None
    assert asides(path) == []


def test_tables_of_ours_that_changed_are_damage_as_before(filled_store):
    run_sql(filled_store, "CREATE TABLE notes (x)", "ALTER TABLE ngrams ADD COLUMN more")
    with pytest.raises(StoreCorruptError, match=r"schema is not that of version 1 \(table definitions\)"):
        Store(filled_store, IDENTITY)
    (told,) = use(filled_store)
    assert "moved to" in told


def test_the_index_of_prefixes_may_have_company(tmp_path):
    path = tmp_path / "index.sqlite3"
    Index(path).close()
    run_sql(path, "CREATE TABLE notes (x)", "CREATE INDEX by_use ON pieces (used)", "ANALYZE")
    Index(path).close()
    run_sql(path, "CREATE TRIGGER forget AFTER INSERT ON pieces BEGIN DELETE FROM models; END")
    with pytest.raises(StoreError, match="has trigger forget") as error:
        Index(path)
    assert not isinstance(error.value, StoreCorruptError)


def test_purge_forgets_the_samples_of_the_query_planner(filled_store):
    run_sql(filled_store, "CREATE INDEX by_total ON ngrams (total)", "ANALYZE")
    with Store(filled_store, IDENTITY) as store:
        assert store.file._db.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0]
        purge(store)
        assert store.file._db.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0] == 0
