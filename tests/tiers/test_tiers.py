"""Model tier and statistics tier: what is fetched is cached, what is learned is counted and found again."""

import numpy as np
import pytest
from store_helpers import IDENTITY, answer, contents, rows_of

from hd_edge import _native
from hd_edge.errors import StoreWarning
from hd_edge.store.safety import SafeStore
from hd_edge.store.store import Store
from hd_edge.tiers.model import MAX_PENDING, ModelTier
from hd_edge.tiers.statistics import StatisticsTier


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.sqlite3"


@pytest.fixture
def row_by_row(monkeypatch):
    """As with a file too large to be read as a whole."""
    monkeypatch.setattr("hd_edge.tiers.model.PRELOADED", -1)


@pytest.fixture
def tier(path, row_by_row):
    tier = ModelTier(SafeStore(path, IDENTITY))
    yield tier
    tier.close()


def ids(*tokens):
    return np.array(tokens, dtype=np.int32)


def key(*tokens):
    return _native.ngram_key(ids(*tokens), len(tokens))


def test_fetch_makes_at_most_four_lookups(tier):
    tier.learn(answer(1), 0)
    tier.flush()
    keys = list(rows_of(answer(1)))[:6]
    assert tier.fetch(keys) == 4
    assert [tier.cache.known(k) for k in keys] == [True] * 4 + [False] * 2
    assert tier.fetch([]) == 0
    assert tier.fetch([key(298, 298)]) == 1
    assert (tier.lookups, tier.hits) == (5, 4)
    assert tier.cache.find(ids(298, 298), 2) == (0, [])


def test_learned_text_is_found_and_counts_once_per_answer(tier):
    text = ids(9, 8, 7, 5, 6, 5, 6, 5, 6)
    for _ in range(2):
        tier.learn(text, 3)
        tier.flush()
    tier.fetch([key(5, 6), key(6)])
    assert tier.cache.find(ids(5, 6), 2) == (2, [(5, 2)])
    assert tier.cache.find(ids(6), 1) == (2, [(5, 2)])
    assert tier.cache.find(ids(9, 8, 7), 3) is None
    tier.fetch([key(8, 7)])
    assert tier.cache.find(ids(9, 8, 7), 3) == (2, [(5, 2)])  # the prompt's end leads into the answer
    tier.fetch([key(9, 8)])
    assert tier.cache.find(ids(9, 8), 2) == (0, [])  # the prompt itself is not learned


def test_another_file_in_place_of_the_old_one_is_read_anew(tier, path, tmp_path):
    assert tier.fetch([key(5, 6)]) == 1  # there is no such record
    other = tmp_path / "other.sqlite3"
    with Store(other, IDENTITY) as store:
        store.add(rows_of([5, 6, 7]))
    other.replace(path)
    tier.learn(ids(20, 21, 22), 0)
    with pytest.warns(StoreWarning, match="replaced while in use"):
        tier.flush()
    assert tier.cache.find(ids(5, 6), 2) is None  # to be asked for
    assert tier.fetch([key(5, 6)]) == 1
    assert tier.cache.find(ids(5, 6), 2) == (1, [(7, 1)])


def test_flush_renews_rows_that_are_cached(tier):
    tier.fetch([key(5, 6)])
    assert tier.cache.find(ids(5, 6), 2) == (0, [])
    tier.learn(ids(5, 6, 7), 0)
    assert tier.cache.find(ids(5, 6), 2) == (0, [])  # not before the flush
    tier.flush()
    assert tier.cache.find(ids(5, 6), 2) == (1, [(7, 1)])


def test_small_file_is_read_as_a_whole(path):
    with Store(path, IDENTITY) as store:
        store.add(rows_of(answer(1)))
    tier = ModelTier(SafeStore(path, IDENTITY))
    text = answer(1)
    assert tier.cache.complete
    for end in range(6, len(text)):
        assert int(text[end]) in dict(tier.cache.find(text[:end], 6)[1])
    assert tier.cache.find(ids(298, 298), 2) == (0, [])
    tier.learn(ids(298, 298, 5), 0)
    tier.flush()
    assert tier.cache.find(ids(298, 298), 2) == (1, [(5, 1)])
    assert tier.lookups == 0
    tier.close()


def test_file_that_does_not_fit_in_memory_is_read_row_by_row(path, monkeypatch):
    with Store(path, IDENTITY) as store:
        store.add(rows_of(answer(1)))
    monkeypatch.setattr("hd_edge.tiers.model.PRELOADED_MEMORY", 5000)
    tier = ModelTier(SafeStore(path, IDENTITY))
    assert not tier.cache.complete
    assert len(tier.cache) > 0
    assert tier.cache.find(ids(298, 298), 2) is None
    tier.close()


@pytest.mark.parametrize("learn", [True, False])
def test_damage_met_inside_a_step_waits_for_the_flush(path, row_by_row, learn):
    with Store(path, IDENTITY) as store:
        store.add(rows_of(answer(1, 3000)))
    tier = ModelTier(SafeStore(path, IDENTITY, learn=learn))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"garbage!" * ((len(whole) - 4096) // 8))
    broken = path.read_bytes()
    if learn:
        assert tier.fetch([key(1, 2)]) == 0
        assert path.read_bytes() == broken
        tier.learn(ids(5, 6, 7), 0)
        with pytest.warns(StoreWarning, match="moved to"):
            tier.flush()
        assert tier.fetch([key(5, 6)]) == 1
        assert tier.cache.find(ids(5, 6), 2) == (1, [(7, 1)])
    else:
        with pytest.warns(StoreWarning, match="going on without"):
            assert tier.fetch([key(1, 2)]) == 0
        tier.flush()
        assert path.read_bytes() == broken
    tier.close()
    assert broken in [p.read_bytes() for p in path.parent.iterdir()]


def test_long_prompts_give_the_same_rows(tier, tmp_path):
    text = answer(3, 400)
    tier.learn(text, 300)
    tier.flush()
    assert dict(tier.store.scan()) == rows_of(text, 300)


@pytest.mark.parametrize(
    ("tokens", "prompt_len"), [(ids(), 0), (ids(1), 1), (ids(1, 2), 2), (ids(1), 0), (ids(1, 2), 5)]
)
def test_answers_without_an_ngram_teach_nothing(tier, tokens, prompt_len):
    tier.learn(tokens, prompt_len)
    tier.flush()
    assert len(tier.store) == 0


def test_reader_learns_nothing(path):
    Store(path, IDENTITY).close()
    tier = ModelTier(SafeStore(path, IDENTITY, learn=False))
    before = path.read_bytes()
    tier.learn(answer(1), 0)
    tier.count("x", 1)
    tier.close()
    assert path.read_bytes() == before


def test_several_answers_flush_as_one_batch(tier):
    for seed in range(3):
        tier.learn(answer(seed, kinds=8), 0)
    tier.count("model.drafted", 5)
    tier.flush()
    with Store(None, IDENTITY) as one_by_one:
        for seed in range(3):
            one_by_one.add(rows_of(answer(seed, kinds=8)))
        assert contents(tier.store) == contents(one_by_one)
    assert tier.store.counters() == {"answers": 3, "model.drafted": 5}


def test_pending_answers_are_bounded(tier):
    for seed in range(3 * MAX_PENDING):
        tier.learn(answer(seed), 0)
    assert len(tier._pending.answers) == MAX_PENDING


def test_tier_without_a_store_is_empty(tmp_path):
    nowhere = tmp_path / "nowhere"
    for tier in (
        ModelTier(SafeStore(nowhere, IDENTITY, learn=False)),
        StatisticsTier(SafeStore(nowhere, IDENTITY, kind="statistics", learn=False, default=True)),
    ):
        assert tier.fetch([5]) == 0
        assert tier.cache.find(ids(5), 1) == (0, [])  # not asked for again
        tier.close()
        tier.close()


def test_closed_tier_keeps_its_cache_and_stays_quiet(tier):
    tier.learn(ids(5, 6, 7), 0)
    tier.flush()
    tier.fetch([key(5, 6)])
    tier.close()
    assert tier.cache.find(ids(5, 6), 2) == (1, [(7, 1)])
    assert tier.fetch([key(1, 2)]) == 0
    tier.learn(answer(1), 0)
    tier.flush()


def test_store_that_breaks_turns_the_tier_off_with_one_warning(path):
    Store(path, IDENTITY, kind="statistics").close()
    tier = StatisticsTier(SafeStore(path, IDENTITY, kind="statistics", learn=False))
    tier.store.file._db.conn.close()  # whatever SQLite may raise
    with pytest.warns(StoreWarning, match="statistics tier"):
        assert tier.fetch([1, 2]) == 0
    assert tier.fetch([3]) == 0
    assert tier.cache.known(1)


def test_file_is_kept_within_its_cap(path):
    cap = 128 << 10
    tier = ModelTier(SafeStore(path, IDENTITY, cap=cap))
    for seed in range(25):
        tier.learn(answer(seed, 800), 0)
        tier.flush()
        assert path.stat().st_size <= 1.6 * cap
    tier.close()
    assert path.stat().st_size <= 1.1 * cap


@pytest.mark.parametrize(("behind", "learned"), [("COMMIT", 1), ("BEGIN", 2)])
def test_an_interrupted_flush_counts_each_answer_once(tier, path, monkeypatch, behind, learned):
    """The next one writes what was not committed, and nothing else."""
    with tier.store.file.reading() as db:
        execute = db.execute

        def interrupted(sql, *arguments):
            done = execute(sql, *arguments)
            if sql.startswith(behind):
                raise KeyboardInterrupt
            return done

        monkeypatch.setattr(db, "execute", interrupted)
    tier.learn(answer(1), 0)
    with pytest.raises(KeyboardInterrupt):
        tier.flush()
    monkeypatch.undo()
    tier.learn(answer(1), 0)
    assert len(tier._pending.answers) == learned
    tier.close()
    with Store(path) as store:
        assert store.counters() == {"answers": 2}
