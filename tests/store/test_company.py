"""What others keep in a store's file: it is no damage, and named; the file is left alone until it is gone."""

import sqlite3
from contextlib import closing

import pytest
from store_helpers import IDENTITY, answer, asides, rows_of, run_sql, use

from hd_edge.errors import StoreCorruptError, StoreError, StoreWarning
from hd_edge.prefix.index import Index
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.store.upkeep import prune, purge, verify
from hd_edge.tiers.model import ModelTier

BESIDE = {
    "statistics of the query planner": ("ANALYZE",),
    "an index": ("CREATE INDEX by_total ON ngrams (total)",),
    "an index by the key": ("CREATE INDEX by_key ON ngrams (key, record COLLATE NOCASE)",),
}
ACTING = {
    "trigger forget": "CREATE TRIGGER forget AFTER INSERT ON ngrams BEGIN DELETE FROM meta; END",
    "trigger Loud": "CREATE TRIGGER Loud BEFORE UPDATE ON META BEGIN SELECT RAISE(ABORT, 'no'); END",
    "index one": "CREATE UNIQUE INDEX one ON ngrams (total)",
    "index few": "CREATE INDEX few ON ngrams (seen) WHERE total > 9",
    "index computed": "CREATE INDEX computed ON ngrams (abs(total))",
    "table notes": "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text)",
    "table a": "CREATE TABLE a (x text PRIMARY KEY COLLATE NOCASE)",
    "view frequent": "CREATE VIEW frequent AS SELECT key FROM ngrams WHERE total > 9",
    "view v": "CREATE VIEW v AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    "table f": "CREATE VIRTUAL TABLE f USING fts5(x)",
}


@pytest.mark.parametrize("statements", BESIDE.values(), ids=BESIDE)
def test_what_stands_beside_our_tables_is_no_damage(filled_store, statements):
    run_sql(filled_store, *statements)
    assert use(filled_store) == []
    assert asides(filled_store) == []
    with Store(filled_store, IDENTITY) as store:
        assert all(store.fetch([key])[key] is not None for key in list(rows_of(answer(12), 5)))
        assert verify(store) == []
        prune(store, 1)
        purge(store)
    assert use(filled_store) == []


@pytest.mark.parametrize("thing", ["table notes", "view frequent", "trigger forget", "index few"])
def test_many_indexes_hide_nothing(filled_store, thing):
    run_sql(filled_store, *(f"CREATE INDEX i{number} ON ngrams (seen)" for number in range(120)), ACTING[thing])
    with pytest.raises(StoreError, match=f"has {thing}, which"):
        Store(filled_store, IDENTITY)


@pytest.mark.parametrize(("thing", "statement"), ACTING.items(), ids=ACTING)
def test_what_is_kept_or_acts_there_is_named_and_nothing_is_learned(filled_store, thing, statement):
    try:
        run_sql(filled_store, "DELETE FROM ngrams", "DELETE FROM meta WHERE name LIKE 'count.%'", statement)
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite cannot make the file: {error}")
    before = filled_store.read_bytes()
    kind, name = thing.split()
    with pytest.raises(StoreError, match=rf'has {thing}, .* not used until you DROP {kind.upper()} "{name}"') as error:
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
def test_a_statistics_file_may_be_analyzed_too(tmp_path, learn):
    path = tmp_path / "statistics.sqlite3"
    Store(path, IDENTITY, kind="statistics").close()
    run_sql(path, "ANALYZE")
    with closing(SafeStore(path, IDENTITY, kind="statistics", learn=learn)) as safe:
        assert safe.store is not None
    assert asides(path) == []


def test_tables_of_ours_that_changed_are_damage_as_before(filled_store):
    run_sql(filled_store, "CREATE TABLE notes (x)", "ALTER TABLE ngrams ADD COLUMN more")
    with pytest.raises(StoreCorruptError, match=r"schema is not that of version 1 \(table definitions\)"):
        Store(filled_store, IDENTITY)
    (told,) = use(filled_store)
    assert "moved to" in told


def test_the_index_of_prefixes_may_be_analyzed(tmp_path):
    path = tmp_path / "index.sqlite3"
    Index(path).close()
    run_sql(path, "CREATE INDEX by_use ON pieces (used)", "ANALYZE")
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


THINGS = {  # this SQLite, or any without an application's own functions, cannot read them
    "syntax of tomorrow": "CREATE VIEW v AS SELECT group_concat(key ORDER BY key SOMEHOW) FROM ngrams",
    "a view of 100,000 characters": f"CREATE VIEW v AS SELECT key FROM ngrams WHERE key IN ({'1, ' * 33_000}1)",
}


@pytest.mark.parametrize("sql", THINGS.values(), ids=THINGS)
def test_a_view_that_cannot_be_read_is_no_damage(filled_store, sql):
    run_sql(
        filled_store,
        "PRAGMA writable_schema=ON",
        f"INSERT INTO sqlite_master VALUES ('view', 'v', 'v', 0, '{sql}')",
    )
    before = filled_store.read_bytes()
    (told,) = use(filled_store)
    assert "moved to" not in told
    assert filled_store.read_bytes() == before
    assert asides(filled_store) == []


def test_what_is_added_while_the_store_is_open_is_no_damage(filled_store):
    tier = ModelTier(SafeStore(filled_store, IDENTITY))
    tier.learn(answer(1), 5)
    tier.flush()
    run_sql(filled_store, f"CREATE VIEW v AS SELECT key FROM ngrams WHERE key IN ({'1, ' * 33_000}1)")
    with pytest.warns(StoreWarning, match="drop it"):
        tier.learn(answer(40), 5)
        tier.flush()
        tier.close()
    assert asides(filled_store) == []


def test_a_build_does_not_replace_what_holds_more(tmp_path):
    path = tmp_path / "statistics.sqlite3"
    Store(path, IDENTITY, kind="statistics").close()
    run_sql(path, "CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"has table mine, .* keep it in another file"):
        Store(path, IDENTITY, kind="statistics", read_only=True)
    assert path.read_bytes() == before
