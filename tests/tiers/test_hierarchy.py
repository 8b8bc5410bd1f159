"""Stores and a real ``Llama``: what is learned is drafted from, and nothing that happens to a file changes a token."""

import warnings
from itertools import pairwise

import pytest

from hd_edge import DraftConfig, Llama, _native
from hd_edge.build.model import answer, build_model, prompt_hash
from hd_edge.errors import StoreWarning
from hd_edge.model.vocabulary import identify
from hd_edge.store.store import Store

SETTINGS = {"n_ctx": 256, "n_threads": 1, "n_threads_batch": 1, "exact": True}
PROMPTS = ["the cat sat", "a dog", "once upon a time", "the cat sat on"]


def generate(llm, prompt, n=24):
    tokens = llm.tokenize(prompt.encode())
    llm.reset()
    return [t for t, _ in zip(llm.generate(tokens, temp=0.0), range(n), strict=False)]


@pytest.fixture(scope="module")
def model(models):
    return str(models("Q4_0"))


@pytest.fixture(scope="module")
def plain(model):
    llm = Llama(model, draft="off", **SETTINGS)
    answers = {prompt: generate(llm, prompt) for prompt in PROMPTS}
    llm.close()
    return answers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.sqlite3"


def test_answers_are_learned_and_looked_up(model, plain, path, monkeypatch):
    monkeypatch.setattr("hd_edge.tiers.model.PRELOADED", -1)
    tokens = 0
    for round_ in range(2):
        llm = Llama(model, store=path, **SETTINGS)
        for prompt in PROMPTS:
            assert generate(llm, prompt) == plain[prompt]
        assert llm.total_stats.lookups["model"] > 0
        tokens += llm.total_stats.tokens
        llm.close()
        with Store(path) as store:
            counters = store.counters()
            assert counters["answers"] == len(PROMPTS) * (round_ + 1)
            assert counters["model.lookups"] >= counters.get("model.hits", 0)
            assert counters["tokens"] == tokens
    assert counters["model.hits"] > 0


def test_overwritten_tokens_are_not_learned(model, plain, path, caplog):
    """Nobody can learn them, and whoever comes later is not troubled by them."""
    llm = Llama(model, store=path, **SETTINGS)
    for wrong in (-7, llm.n_vocab()):
        generation = llm.generate(llm.tokenize(PROMPTS[0].encode()), temp=0.0)
        next(generation)
        llm.input_ids[1] = wrong
        generation.close()
        assert "a generation is not learned" in caplog.text
        caplog.clear()
        llm.catch_up()
        assert generate(llm, PROMPTS[1]) == plain[PROMPTS[1]]
    llm.close()
    with Store(path) as store:
        assert store.counters()["answers"] == 2


def test_what_the_consumer_sends_is_not_learned(model, path):
    llm = Llama(model, store=path, **SETTINGS)
    sent = list(range(400, 412))
    generation = llm.generate([1, *range(300, 320)], temp=0.0)
    before = [next(generation)]
    after = [generation.send(sent)] + [next(generation) for _ in range(20)]
    generation.close()
    llm.close()
    ends = set()
    with Store(path, read_only=True) as store:
        for key, record in store.scan():
            for context, _, followers in _native.decode_record(key, record, store.identity.n_vocab):
                ends |= {(*context, token)[-2:] for token, _ in followers}
    text = [before[0], *sent, *after]
    own = set(zip(text[len(sent) :], after, strict=False)) | {(319, before[0])}
    assert (319, before[0]) in ends
    assert set(pairwise(after)) <= ends
    assert ends <= own


def test_default_store_is_found_again(model, plain, tmp_path, monkeypatch):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path))
    for _ in range(2):
        llm = Llama(model, **SETTINGS)
        assert generate(llm, PROMPTS[0]) == plain[PROMPTS[0]]
        llm.close()
    (found,) = tmp_path.glob("models/*.sqlite3")
    with Store(found) as store:
        assert store.counters()["answers"] == 2
        assert store.load_calibration() is not None


@pytest.mark.parametrize("learn", [True, False])
def test_reading_only_writes_nothing(model, plain, path, learn):
    llm = Llama(model, store=path, learn=learn, **SETTINGS)
    assert generate(llm, PROMPTS[0]) == plain[PROMPTS[0]]
    llm.close()
    assert path.exists() == learn


def test_store_none_and_draft_off_touch_no_disk(model, plain, tmp_path, monkeypatch):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path / "home"))
    for options in ({"store": None}, {"draft": "off"}):
        llm = Llama(model, **options, **SETTINGS)
        assert generate(llm, PROMPTS[0]) == plain[PROMPTS[0]]
        llm.close()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("tiers", [("context",), ("model",), ("context", "statistics"), ()])
def test_tiers_can_be_left_out(model, plain, path, tiers):
    llm = Llama(model, store=path, draft=DraftConfig(tiers=tiers), **SETTINGS)
    assert generate(llm, PROMPTS[0]) == plain[PROMPTS[0]]
    assert all(count == 0 for tier, count in llm.stats.drafted.items() if tier not in (*tiers, "context"))
    assert llm.stats.lookups["statistics"] == 0
    llm.close()


def destroy(path, how):
    if how == "deleted":
        path.unlink()
    elif how == "garbage":
        path.write_bytes(b"garbage" * 999)
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif how == "swapped":
        other = path.with_name("other.sqlite3")
        with Store(path) as store:
            Store(other, store.identity).close()
        other.replace(path)


@pytest.mark.parametrize("how", ["deleted", "garbage", "truncated", "swapped"])
def test_store_destroyed_between_two_prompts_changes_no_token(model, plain, path, how):
    llm = Llama(model, store=path, **SETTINGS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for prompt in PROMPTS[:2]:
            assert generate(llm, prompt) == plain[prompt]
        destroy(path, how)
        for prompt in PROMPTS:
            assert generate(llm, prompt) == plain[prompt]
        llm.close()
    said = [w for w in caught if issubclass(w.category, StoreWarning)]
    assert len(said) == 1, [str(w.message) for w in said]
    if how == "garbage":  # no store any more, whoever wrote it: left alone
        assert path.read_bytes() == b"garbage" * 999
        return
    with Store(path) as store:
        assert store.counters()["answers"] >= 3


def test_damaged_calibration_is_left_out(model, plain, path):
    llm = Llama(model, store=path, **SETTINGS)
    identity = identify(llm.model)
    llm.close()
    with Store(path, identity) as store:
        store.save_planner(b"nonsense", "cpu", [])
    with pytest.warns(StoreWarning, match="calibration"):
        llm = Llama(model, store=path, **SETTINGS)
    assert generate(llm, PROMPTS[0]) == plain[PROMPTS[0]]
    llm.close()


def test_build_model_learns_each_prompt_once(model, path):
    llm = Llama(model, store=None, learn=False, **SETTINGS)
    with Store(path, identify(llm.model)) as store:
        seen = []
        build_model(llm, store, PROMPTS[:2], max_tokens=8, progress=lambda p: seen.append((p.done, p.known)))
        once = dict(store.scan())
        state = build_model(llm, store, PROMPTS[:2], max_tokens=8)
        assert (state.known, state.tokens) == (2, 0)
        assert dict(store.scan()) == once
        assert seen == [(1, 0), (2, 0)]
        state = build_model(llm, store, [*PROMPTS, "word " * 500], max_tokens=8)
        assert (state.done, state.known, state.skipped) == (5, 2, 1)
        assert store.counters()["answers"] == 4
        assert store.is_built(prompt_hash(PROMPTS[3], 8))
        assert not store.is_built(prompt_hash(PROMPTS[3], 9))
    llm.close()


def test_two_builds_of_one_store_count_each_prompt_once(model, path, monkeypatch):
    llm = Llama(model, store=None, learn=False, **SETTINGS)
    counter = _native.AnswerCounter(llm.n_vocab())

    def late(*asked):
        tokens, prompt_len = answer(*asked)
        other.add(dict(counter.records(tokens, prompt_len)), built=prompt_hash(asked[1], 8))
        return tokens, prompt_len

    monkeypatch.setattr("hd_edge.build.model.answer", late)
    with Store(path, identify(llm.model)) as store, Store(path) as other:
        build_model(llm, store, PROMPTS, max_tokens=8)
        assert store.counters()["answers"] == len(PROMPTS)
        twice = dict(store.scan())
    with Store(path.with_name("one"), identify(llm.model)) as store:
        monkeypatch.undo()
        build_model(llm, store, PROMPTS, max_tokens=8)
        assert dict(store.scan()) == twice
    llm.close()
