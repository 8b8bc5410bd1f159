"""PrefixCache over a fake KV cache that shows every wrong row: any order of prompts, budgets, restarts."""

import shutil
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from fake_state import ROOT, Conversation, rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hd_edge.errors import StoreWarning
from hd_edge.prefix.cache import LEAST_GAIN
from hd_edge.prefix.disk import Disk
from hd_edge.prefix.pieces import PIECE
from hd_edge.prefix.saver import IDLE

BASE = np.random.default_rng(3).integers(0, 1000, 1200).tolist()


@st.composite
def prompts(draw):
    """Prompts with common beginnings, edits in the middle, and own ends."""
    out = []
    for _ in range(draw(st.integers(1, 7))):
        text = list(BASE[: draw(st.integers(1, 1100))])
        if draw(st.booleans()):
            text[draw(st.integers(0, len(text) - 1))] = 2000
        out.append(text + draw(st.lists(st.integers(3000, 3003), max_size=300)))
    return out


@given(prompts(), st.sampled_from([0, 6_000, 30_000, 1 << 20]), st.sampled_from([None, 0, 20_000]), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_restored_state_is_computed_state(texts, memory, budget, restart):
    """Whatever is evicted, edited or restarted: every row in the KV cache is that of its own prompt."""
    folder = Path(tempfile.mkdtemp())
    try:
        talk = Conversation(folder, memory, budget)
        for text in texts:
            talk.answer(text, reply=[4000, 4001])
            talk.cache.saver.flush()
            if restart:
                talk.close()
                talk = Conversation(folder, memory, budget)
        for text in reversed(texts):
            talk.answer(text)
        talk.close()
    finally:
        shutil.rmtree(folder)


def test_a_prompt_is_read_once_while_others_come_between():
    talk = Conversation()
    texts = [[i, *BASE[:700]] for i in range(8)]
    for text in texts:
        assert talk.answer(text) == 0
    for text in texts:
        assert talk.answer(text) == len(text) - 1


def test_a_prompt_is_read_once_for_good(tmp_path):
    for expected in (0, 899):
        talk = Conversation(tmp_path)
        assert talk.answer(BASE[:900]) == expected
        talk.close()


def test_an_edit_costs_what_is_behind_it(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    talk.close()
    talk = Conversation(tmp_path)
    edited = [*BASE[:500], 5000, *BASE[501:]]
    assert talk.answer(edited) == 500
    talk.close()


def test_a_few_tokens_are_computed():
    talk = Conversation()
    talk.answer(BASE[:LEAST_GAIN])
    talk.answer([7] * 40)
    assert talk.answer(BASE[:LEAST_GAIN]) == 0


def test_nothing_is_written_that_is_cheaper_computed(tmp_path):
    talk = Conversation(tmp_path)
    talk.cache.price.compute = 1e12
    talk.answer(BASE)
    talk.answer([1] * 600)
    talk.close()
    assert list(tmp_path.glob("*/*.kv")) == []
    assert talk.state.saves == 0


def test_stored_state_that_is_dearer_than_computing_is_left_alone(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    talk.close()
    talk = Conversation(tmp_path)
    talk.cache.price.disk = 1.0  # byte per second
    assert talk.answer(BASE) == 0
    talk.close()


def test_the_folder_keeps_its_budget(tmp_path):
    budget = 40_000
    talk = Conversation(tmp_path, memory=1 << 20, budget=budget)
    for i in range(12):
        talk.answer([i, *BASE[:600]])
        talk.cache.saver.flush()
        assert sum(path.stat().st_size for path in tmp_path.glob("*/*.kv")) <= budget
    talk.close()
    talk = Conversation(tmp_path, budget=budget)
    assert talk.answer([11, *BASE[:600]]) == 600  # the newest is there
    assert talk.answer([0, *BASE[:600]]) == 0
    talk.close()


def test_a_tail_is_replaced_by_the_longer_one(tmp_path):
    talk = Conversation(tmp_path)
    for n in (50, 75, 100, PIECE + 4):
        talk.answer(BASE[:n])
        talk.cache.saver.flush()
    talk.close()
    assert len(list(tmp_path.glob("*/*.kv"))) == 2  # a full one, and 4 tokens


def test_saving_begins_by_itself_when_nobody_generates(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    thread = talk.cache.saver._thread
    assert thread is not None
    while len(list(tmp_path.glob("*/*.kv"))) * PIECE < len(BASE):
        assert thread.is_alive()
        thread.join(0.01)
    talk.close()
    assert not thread.is_alive()


def test_nothing_is_saved_while_a_generation_runs(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    talk.cache.enter()
    with talk.cache.saver._changed:  # the saver has had its chance to notice
        assert not talk.cache.saver._changed.wait(2 * IDLE)
    assert talk.state.saves == 0
    talk.cache.leave()
    talk.close()


def test_a_turn_of_somebody_else_keeps_the_saver_out(tmp_path):
    """It asks before each piece, and goes on where it stopped once nobody has the turn."""
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    has, done = threading.Event(), threading.Event()

    def somebody():
        with talk.turn.have(steps=True):
            has.set()
            done.wait()

    save = talk.state.save
    other = threading.Thread(target=somebody)

    def first(start, stop):
        if not talk.turn.wanted:
            other.start()
            while not talk.turn.wanted:  # it waits now
                other.join(0.001)
        return save(start, stop)

    talk.state.save = first
    talk.cache.saver.flush()
    assert talk.state.saves == 1
    assert has.wait(10)
    talk.cache.saver.flush()
    assert talk.state.saves == 1
    done.set()
    other.join()
    talk.state.save = save
    talk.cache.saver.flush()
    talk.close()
    assert talk.state.saves == -(-len(BASE) // PIECE)


def test_closing_saves_in_the_turn_of_who_closes(tmp_path):
    """The saver's thread cannot have the turn then, nor may it come later."""
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    threads = []
    save = talk.state.save
    talk.state.save = lambda start, stop: threads.append(threading.current_thread()) or save(start, stop)
    talk.close()
    assert set(threads) == {threading.current_thread()}
    assert len(list(tmp_path.glob("*/*.kv"))) == -(-len(BASE) // PIECE)


def test_closing_waits_for_the_copy_under_way(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    copying, go = threading.Event(), threading.Event()
    order = []
    save = talk.state.save

    def slow(start, stop):
        if not copying.is_set():
            copying.set()
            go.wait()
            order.append("copied")
        return save(start, stop)

    talk.state.save = slow
    assert copying.wait(10)
    closer = threading.Thread(target=lambda: (talk.close(), order.append("closed")))
    closer.start()
    while not talk.turn.wanted:
        closer.join(0.001)
    assert order == []
    go.set()
    closer.join()
    assert order == ["copied", "closed"]
    assert again_known(tmp_path) == len(BASE) - 1


def again_known(folder):
    talk = Conversation(folder)
    known = talk.answer(BASE)
    talk.close()
    return known


def test_what_the_cache_holds_now_is_saved(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    with talk.turn.have(steps=True):
        talk.live = [8] * 300  # somebody evaluated something else
        talk.state.rows = rows_of(talk.live)
    talk.close()
    talk = Conversation(tmp_path)
    assert talk.answer(BASE) == 0
    assert talk.answer([8] * 300) == 299
    talk.close()


def test_state_that_changed_between_two_pieces_is_not_saved(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    save = talk.state.save

    def changed(start, stop):
        blob = save(start, stop)
        talk.live = [8] * 300
        talk.state.rows = rows_of(talk.live)
        return blob

    talk.state.save = changed
    talk.cache.saver.flush()
    assert talk.state.saves == 1
    talk.close()
    talk = Conversation(tmp_path)
    assert talk.answer([8] * 300) == 299  # what it holds in the end is
    talk.close()


def test_other_settings_are_another_model(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    talk.close()
    other = Disk(tmp_path, b"o" * 32)
    assert other.find(b"o" * 32, 0, b"") is None
    other.close()
    talk = Conversation(tmp_path)
    talk.cache._root = b"o" * 32
    assert talk.answer(BASE) == 0
    talk.close()


def test_trouble_is_told_once(tmp_path):
    (tmp_path / "index.sqlite3").write_text("a shopping list, and no index " * 10)
    talk = Conversation(tmp_path)
    with pytest.warns(StoreWarning, match="in memory only"):
        talk.answer(BASE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        talk.answer([1] * PIECE)
        assert talk.answer(BASE) == len(BASE) - 1
    talk.close()
    assert (tmp_path / "index.sqlite3").read_text().startswith("a shopping list")


def test_closing_twice_and_use_after_it(tmp_path):
    talk = Conversation(tmp_path)
    talk.answer(BASE)
    talk.close()
    talk.close()
    assert talk.answer([1] * 300) == 0
    assert len(ROOT) == 32
