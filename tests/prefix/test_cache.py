"""PrefixCache over a fake KV cache that shows every wrong row: any order of prompts, budgets, restarts."""

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fake_state import ROOT, Conversation, again
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hd_edge.errors import StoreWarning
from hd_edge.prefix.cache import LEAST_GAIN
from hd_edge.prefix.disk import Disk
from hd_edge.prefix.pieces import PIECE

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
        assert again(tmp_path, BASE[:900]) == expected


def test_an_edit_costs_what_is_behind_it(tmp_path):
    again(tmp_path, BASE)
    assert again(tmp_path, [*BASE[:500], 5000, *BASE[501:]]) == 500


def test_a_few_tokens_are_computed():
    talk = Conversation()
    talk.answer(BASE[:LEAST_GAIN])
    talk.answer([7] * 40)
    assert talk.answer(BASE[:LEAST_GAIN]) == 0


def test_nothing_is_written_that_is_cheaper_computed(talk, tmp_path):
    talk.cache.price.compute = 1e12
    talk.answer(BASE)
    talk.answer([1] * 600)
    talk.close()
    assert list(tmp_path.glob("*/*.kv")) == []
    assert talk.state.saves == 0


def test_stored_state_that_is_dearer_than_computing_is_left_alone(tmp_path, opened):
    again(tmp_path, BASE)
    talk = opened(Conversation(tmp_path))
    talk.cache.price.disk = 1.0  # byte per second
    assert talk.answer(BASE) == 0


def test_the_folder_keeps_its_budget(tmp_path, opened):
    budget = 40_000
    with closing(Conversation(tmp_path, memory=1 << 20, budget=budget)) as talk:
        for i in range(12):
            talk.answer([i, *BASE[:600]])
            talk.cache.saver.flush()
            assert sum(path.stat().st_size for path in tmp_path.glob("*/*.kv")) <= budget
    talk = opened(Conversation(tmp_path, budget=budget))
    assert talk.answer([11, *BASE[:600]]) == 600  # the newest is there
    assert talk.answer([0, *BASE[:600]]) == 0


def test_a_tail_is_replaced_by_the_longer_one(talk, tmp_path):
    for n in (50, 75, 100, PIECE + 4):
        talk.answer(BASE[:n])
        talk.cache.saver.flush()
    talk.close()
    assert len(list(tmp_path.glob("*/*.kv"))) == 2  # a full one, and 4 tokens


def test_other_settings_are_another_model(tmp_path, opened):
    again(tmp_path, BASE)
    other = Disk(tmp_path, b"o" * 32)
    assert other.find(b"o" * 32, 0, b"") is None
    other.close()
    talk = opened(Conversation(tmp_path))
    talk.cache._root = b"o" * 32
    assert talk.answer(BASE) == 0


def test_trouble_is_told_once(tmp_path, opened):
    (tmp_path / "index.sqlite3").write_text("a shopping list, and no index " * 10)
    talk = opened(Conversation(tmp_path))
    with pytest.warns(StoreWarning, match="in memory only"):
        talk.answer(BASE)
    talk.answer([1] * PIECE)  # a warning would be an error
    assert talk.answer(BASE) == len(BASE) - 1
    talk.close()
    assert (tmp_path / "index.sqlite3").read_text().startswith("a shopping list")


def test_closing_twice_and_use_after_it(talk):
    talk.answer(BASE)
    talk.close()
    talk.close()
    assert talk.answer([1] * 300) == 0
    assert len(ROOT) == 32
