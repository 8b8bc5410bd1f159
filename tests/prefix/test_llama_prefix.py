"""``Llama(prefix_cache=...)``: the tokens and bits of computing, over restarts, cancels and other conversations."""

from __future__ import annotations

import gc
import stat
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memories import SLIDING
from prefix_llama import TEXT, answer, load

from hd_edge.backend.kv_state import KVState, is_part
from hd_edge.prefix.pieces import PIECE

KINDS = [("Q4_0", False), ("Q4_0", True), *((name, False) for name in SLIDING)]  # of weights, or a shape; exact mode


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind[0] + "-exact" * kind[1])
def kind(request):
    """Default mode is exact too where our kernels compute all, and exact mode asks for it."""
    return request.param


@pytest.fixture(scope="module")
def model(kind, models, shapes):
    """``model(**settings)``: one without a window, or with one whose cache is of full size."""
    name, exact = kind
    return partial(load, shapes(name) if name in SLIDING else models(name), exact=exact)


@pytest.fixture(scope="module")
def plain(model):
    with model(prefix_cache=None) as llm:
        if not llm.exact:
            pytest.skip(f"no exact arithmetic here: {llm.stats.kernels}")
        yield llm


@pytest.fixture
def kept(model, tmp_path, opened):
    return opened(model(prefix_cache=tmp_path / "prefix"))


def fresh(llm, tokens, n=12, **sampling):
    """The same, computed from nothing."""
    llm.reset()
    llm._ctx.kv_cache_clear()
    row, out, known = answer(llm, tokens, n, **sampling)
    assert known == 0
    return row, out


@given(
    st.lists(
        st.tuples(st.integers(1, 880), st.integers(0, 879), st.booleans(), st.lists(st.integers(3, 258), max_size=40)),
        min_size=2,
        max_size=5,
    ),
    st.sampled_from([0, 200_000, 1 << 30]),
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
def test_a_restored_prefix_is_a_computed_one_bit_for_bit(plain, model, tmp_path_factory, texts, memory):
    """Over 100 prompts with random common beginnings, edits in the middle, evictions and restarts."""
    folder = tmp_path_factory.mktemp("prefix")
    prompts = []
    for length, at, edit, end in texts:
        prompt = TEXT[:length]
        if edit and at < length:
            prompt[at] = 260
        prompts.append(prompt + end)
    with model(prefix_cache=folder, prefix_cache_bytes=2_000_000) as llm:
        llm._prefixes.memory.budget = memory
        for prompt in [*prompts, *prompts]:
            row, out, _ = answer(llm, prompt)
            assert (row, out) == fresh(plain, prompt)
            llm._prefixes.saver.flush()


def test_switching_between_conversations_computes_what_is_new(kept, plain):
    prompts = [[10 + i, *TEXT[:600]] for i in range(8)]
    for prompt in prompts:
        answer(kept, prompt)
    for prompt in prompts:
        row, out, known = answer(kept, [*prompt, 7, 8])
        assert known >= len(prompt)
        assert (row, out) == fresh(plain, [*prompt, 7, 8])


def test_what_was_read_before_a_restart_is_known(model, plain, tmp_path):
    for expected in (0, len(TEXT) - 1):
        with model(prefix_cache=tmp_path) as llm:
            row, out, known = answer(llm, TEXT)
        assert known == expected
        assert (row, out) == fresh(plain, TEXT)
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_the_answer_is_kept_too(model, tmp_path):
    with model(prefix_cache=tmp_path) as llm:
        _, out, _ = answer(llm, TEXT[:300], n=40)
    with model(prefix_cache=tmp_path) as llm:
        assert answer(llm, [*TEXT[:300], *out])[2] >= 300 + 38


def test_sampled_text_is_the_same(kept, plain):
    sampling = {"temp": 0.9, "top_k": 40}
    answer(kept, TEXT[:500])
    answer(kept, [5, *TEXT[:300]])
    for llm in (kept, plain):
        llm.set_seed(3)
    _, out, known = answer(kept, TEXT[:500], **sampling)
    assert known == 499
    assert out == fresh(plain, TEXT[:500], **sampling)[1]


def test_a_cancelled_prefill_keeps_what_was_computed(model, tmp_path):
    llm = model(prefix_cache=tmp_path, n_batch=64)
    seen = []

    def stop(done, total, seconds):
        seen.append((done, total))
        if done >= 512:
            llm.cancel()

    llm.on_prefill = stop
    assert list(llm.generate(TEXT, temp=0.0)) == []
    assert seen[0] == (64, 900)
    assert llm.n_tokens >= 512
    llm.on_prefill = None
    llm.close()
    with model(prefix_cache=tmp_path, n_batch=64) as llm:
        assert answer(llm, TEXT)[2] >= 512


def test_progress_counts_what_is_to_be_computed(kept):
    answer(kept, TEXT[:400])
    seen = []
    kept.on_prefill = lambda done, total, seconds: seen.append((done, total))
    answer(kept, TEXT[:700])
    kept.on_prefill = None
    assert seen[-1] == (300, 300)


def test_usage_counts_cached_tokens(kept):
    text = "the cat sat on the mat " * 12
    first = kept.create_completion(text, max_tokens=4, temperature=0.0)
    kept.create_completion("a dog", max_tokens=4, temperature=0.0)
    second = kept.create_completion(text, max_tokens=4, temperature=0.0)
    assert first["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
    known = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert known == second["usage"]["prompt_tokens"] - 1
    assert second["timings"]["cache_n"] == known
    assert first["choices"] == second["choices"]


def test_eval_and_state_calls_between_generations(kept, plain):
    """Whoever uses the context between two generations makes what was to be saved void."""
    answer(kept, TEXT[:400])
    kept.reset()
    kept.eval([9] * 300)
    state = kept.save_state()
    kept._prefixes.saver.flush()
    assert answer(kept, TEXT[:400])[2] == 0  # it was overwritten before it was saved
    kept._prefixes.saver.flush()
    kept.load_state(state)
    assert kept.n_tokens == 300
    row, out, known = answer(kept, TEXT[:400])
    assert known == 399
    assert (row, out) == fresh(plain, TEXT[:400])


def test_a_part_is_what_llama_cpp_saves(kept):
    """The layout that is checked is the one of the loaded llama.cpp; anything else is not taken."""
    answer(kept, TEXT[:300], n=2)
    state = KVState(kept.ctx, kept.context_params.n_seq_max - 1)
    blob = state.save(PIECE, 2 * PIECE)
    assert is_part(blob, PIECE, 2 * PIECE)
    assert not is_part(blob, PIECE + 1, 2 * PIECE + 1)
    assert not is_part(blob[:-1], PIECE, 2 * PIECE)
    assert not is_part(blob + b"\0", PIECE, 2 * PIECE)
    assert state.save(5000, 5010) is None
    assert not state.restore(bytearray(b"\0" * 400), PIECE, 2 * PIECE)


def test_a_collected_model_saves_first(model, tmp_path):
    llm = model(prefix_cache=tmp_path)
    answer(llm, TEXT)
    del llm
    gc.collect()
    assert len(list(tmp_path.glob("*/*.kv"))) == -(-(900 + 11) // PIECE)


def test_a_stream_is_kept_too(model, tmp_path):
    """Its last chunks come after its generation's end; the saver waits for them and keeps the text by itself."""
    llm = model(prefix_cache=tmp_path)
    text = "the cat sat on the mat " * 12
    for _ in llm.create_completion(text, max_tokens=4, temperature=0.0, stream=True):
        pass
    thread = llm._prefixes.saver._thread
    while not list(tmp_path.glob("*/*.kv")):
        assert thread.is_alive()
        thread.join(0.01)
    llm.close()
    assert not thread.is_alive()


def test_a_generation_that_rests_is_not_disturbed(model, plain, tmp_path):
    llm = model(prefix_cache=tmp_path)
    generation = llm.generate(TEXT[:400], temp=0.0)
    out = [next(generation) for _ in range(3)]
    with llm._life.spare() as free:
        assert not free
    llm._prefixes.saver.flush()
    out += [next(generation) for _ in range(9)]
    generation.close()
    assert list(tmp_path.glob("*/*.kv")) == []
    assert out == fresh(plain, TEXT[:400])[1]
    llm._life.wanted = False
    with llm._life.spare() as free:
        assert free
    llm.close()
    with llm._life.spare() as free:
        assert not free
    assert list(tmp_path.glob("*/*.kv")) != []


def test_an_error_while_pieces_go_in_leaves_nothing_believed(kept, plain, monkeypatch):
    answer(kept, TEXT[:500])
    answer(kept, [5, *TEXT[:300]])

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(KVState, "restore", broken)
    with pytest.raises(KeyboardInterrupt):
        answer(kept, TEXT[:500])
    monkeypatch.undo()
    row, out, _ = answer(kept, [5, *TEXT[:300], 9])
    assert (row, out) == fresh(plain, [5, *TEXT[:300], 9])


def test_a_loaded_state_is_not_kept(model, kind, models, shapes, tmp_path):
    """It may be of another model of the same shape, which llama.cpp does not notice."""
    with load(shapes(kind[0], "Q8_0") if kind[0] in SLIDING else models("Q8_0"), prefix_cache=None) as other:
        answer(other, TEXT[:600])
        state = other.save_state()
    with model(prefix_cache=None) as own:
        want = answer(own, TEXT[:700])
    with model(prefix_cache=tmp_path) as llm:
        answer(llm, TEXT[600:])
        llm.load_state(state)
        assert answer(llm, TEXT[:700])[2] >= 600  # of the state, as with llama_cpp
        answer(llm, TEXT[10:400])  # what the memory is about to lose is copied
        llm.load_state(state)
        answer(llm, TEXT[:700])
        llm._prefixes.saver.flush()
    with model(prefix_cache=tmp_path) as llm:  # another process reads what close() wrote
        assert answer(llm, TEXT[:700]) == (*want[:2], 0)
