"""Memories that take back one chain: those of hybrid models, by llama.cpp's snapshots, and small windows."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest
from memories import SLIDING, STATES, settings_of, words
from one_model import last_row, take

from hd_edge import ContextFullError, DraftConfig, ExactModeError, Llama, _native
from hd_edge.backend.memory import takes_back
from hd_edge.check.adversary import Adversary

HYBRID = STATES[:3]
SAMPLING = {"greedy": {"temp": 0.0}, "seeded": {"temp": 1.0, "top_k": 0, "top_p": 1.0}}
ALL = [(name, "Q4_0") for name in (*STATES, *SLIDING)]
KINDS = [("qwen35-tiny", "Q4_K_M"), ("qwen35-tiny", "Q8_0"), ("lfm2-tiny", "Q4_K_M"), ("gpt-oss-tiny", "MXFP4")]


@pytest.fixture
def make(shapes, opened):
    def made(name, kind="Q4_0", **more):
        path, settings = shapes(name, kind), {"n_ctx": 512, "n_batch": 512, "prefix_cache": None, **more}
        return opened(Llama(str(path), **settings_of(path, **settings)))

    return made


def prompt(seed, n):
    return [1, *words(seed, n)]


def said(llm, tokens, n, how, seed=3):
    llm.set_seed(seed)
    return take(llm.generate(tokens, **SAMPLING[how]), n)


@pytest.mark.parametrize(("name", "kind"), [*ALL, *KINDS])
def test_drafted_text_is_plain_text(make, name, kind):
    """Right and wrong drafts in turns; each generation begins where the one before left the context."""
    plain, llm = make(name, kind, draft="off"), make(name, kind)
    drafted = 0
    for seed, how in enumerate([*SAMPLING] * 2):
        tokens = prompt(seed // 2, 30 + 40 * seed)
        want = said(plain, tokens, 60, how)
        with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.8, seed)):
            assert said(llm, tokens, 60, how) == want
        assert llm.verifier.check_integrity() == ""
        drafted += llm.stats.rows - llm.stats.forwards
    assert drafted > 100


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [*ALL, *KINDS])
def test_fifty_prompts(make, name, kind):
    plain, llm = make(name, kind, draft="off"), make(name, kind)
    for seed in range(50):
        how = [*SAMPLING][seed % 2]
        tokens = prompt(seed, 10 + (2 if name in SLIDING else 6) * seed)  # no cell of a window's cache is reused yet
        want = said(plain, tokens, 128, how)
        with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.7, seed)):
            assert said(llm, tokens, 128, how) == want


@pytest.mark.parametrize("name", STATES)
def test_one_chain(make, name):
    llm = make(name)
    assert llm.verifier.max_leaves == 1
    assert llm.verifier.max_rows == 8
    assert llm.verifier.copies != takes_back(llm.metadata["general.architecture"])
    assert llm.plain_reason == ""


def test_an_older_release_takes_back_fewer_states():
    """LFM2 has a copy of its state there, as Mamba has."""
    assert all(takes_back(one, "0.3.36") for one in ("qwen35", "qwen35moe", "lfm2"))
    assert takes_back("qwen35", "0.3.35")
    assert not takes_back("lfm2", "0.3.35")
    assert not takes_back("mamba2", "0.3.36")


@pytest.mark.parametrize("name", HYBRID)
@pytest.mark.parametrize("threads", [1, 2])
def test_rows_have_the_bits_of_single_steps(make, name, threads):
    llm = make(name, n_threads=threads, n_threads_batch=threads)
    assert llm.exact
    if llm.verifier.copies:
        pytest.skip("this llama.cpp keeps no snapshots of it: what is taken back here would be computed again")
    verifier, tokens = llm.verifier, prompt(5, 500)
    for length, rows in ((20, 8), (400, 5)):
        llm.reset()
        llm.eval(tokens[:length])
        verifier.begin(length)
        chain = tokens[length : length + rows]
        several = rows_of(verifier, chain)
        one = [rows_of(verifier, [token])[0] for token in chain[1:]]
        assert np.array_equal(several[1:], one)


def rows_of(verifier, chain):
    """The logits of a chain's rows, of which the root alone is kept."""
    tree = _native.DraftTree()
    for i, token in enumerate(chain):
        tree.add(token, i - 1)
    assert verifier.decode(np.array(chain[:1], np.int32), tree) == 0
    rows = [verifier.logits(i).copy() for i in range(len(chain))]
    verifier.commit(np.zeros(1, np.int32))
    return rows


@pytest.mark.parametrize("name", [*STATES, *SLIDING])
def test_earlier_tokens_are_computed_again(make, name):
    """Wherever the context is left, an evaluation behind an earlier token is that of a fresh object."""
    llm, fresh = make(name), make(name, draft="off")
    tokens = prompt(7, 300)
    said(llm, tokens, 20, "greedy")
    for keep in (310, 299, 296, 200, 30, 1):
        llm.n_tokens = min(keep, llm.n_tokens)
        known = llm.input_ids[: llm.n_tokens].tolist()
        llm.eval([500, 600])
        fresh.reset()
        fresh.eval([*known, 500, 600])
        assert np.allclose(last_row(llm), last_row(fresh), rtol=0, atol=0.0 if llm.exact else 0.1)


@pytest.mark.parametrize("name", [*STATES, *SLIDING])
def test_sampling_again_after_a_generation(make, name):
    llm, fresh = make(name), make(name, draft="off")
    tokens = prompt(8, 60)
    want = said(fresh, tokens, 30, "greedy")
    with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.5, 1)):
        assert said(llm, tokens, 30, "greedy") == want
    said_so_far = llm.input_ids[: llm.n_tokens].tolist()
    assert llm.sample(temp=0.0) == (tokens + want)[len(said_so_far)]


@pytest.mark.parametrize("name", STATES)
def test_saved_in_the_middle_of_a_generation(make, name):
    """Also right after a rejected draft, when the state lies in a snapshot."""
    llm, plain = make(name), make(name, draft="off")
    tokens = prompt(9, 40)
    want = said(plain, tokens, 60, "greedy")
    for n in (5, 17, 30):
        with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.6, n)):
            generation = llm.generate(tokens, temp=0.0)
            assert list(islice(generation, n)) == want[:n]
            state = llm.save_state()
            assert list(islice(generation, 60 - n)) == want[n:]
            generation.close()
            llm.load_state(state)
            assert said(llm, [*tokens, *want[:n]], 60 - n, "greedy") == want[n:]


@pytest.mark.parametrize("name", STATES)
def test_an_exception_within_a_step_leaves_nothing_wrong(make, name, monkeypatch):
    llm, plain = make(name), make(name, draft="off")
    tokens = prompt(10, 40)
    want = said(plain, tokens, 40, "greedy")

    def interrupted(*_):
        raise KeyboardInterrupt

    with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.6, 2)):
        generation = llm.generate(tokens, temp=0.0)
        assert list(islice(generation, 10)) == want[:10]
        with monkeypatch.context() as patch:
            patch.setattr(type(llm._pace), "after", interrupted)
            with pytest.raises(KeyboardInterrupt):
                list(generation)
        assert said(llm, tokens, 40, "greedy") == want


def test_accepted_tokens_are_fed_again_before_the_next_draft(make):
    """Where a copy of the state is taken back: what that costs is counted as rows, and told to the planner."""
    llm, plain = make("mamba2-tiny"), make("mamba2-tiny", draft="off")
    tokens, steps = prompt(3, 40), []
    want = said(plain, tokens, 60, "greedy")
    llm.on_step = steps.append
    with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.7, 4)):
        assert said(llm, tokens, 60, "greedy") == want
    for before, after in pairwise(steps):
        rejected = len(before.path) < len(before.tree)
        assert after.again == (len(before.path) if rejected else 0)
        assert not (after.again and len(after.tree) > 1)
    assert any(step.again for step in steps)


def test_no_room_for_a_copy(make):
    llm = make("mamba2-tiny", n_batch=1)
    assert llm.plain_reason == "n_batch=1 leaves no room for a draft and a copy of the recurrent state"
    assert len(said(llm, prompt(0, 20), 10, "greedy")) == 10


def test_settings_bound_the_chain(make):
    for more, rows in (
        ({"n_batch": 5}, 4),
        ({"n_ubatch": 4}, 3),
        ({"n_batch": 2}, 1),
        ({"draft": DraftConfig(max_rows=3)}, 3),
        ({"draft": "off"}, 1),
    ):
        llm = make("qwen35-tiny", **more)
        assert llm.verifier.max_rows == rows
        assert len(said(llm, prompt(0, 20), 10, "greedy")) == 10


def test_context_that_fills_up(make):
    llm = make("qwen35-tiny", n_ctx=64)
    tokens = prompt(0, 40)
    with llm.drafting(Adversary([], llm.n_vocab(), 0.0, 1)), pytest.raises(ContextFullError):
        list(llm.generate(tokens, temp=0.0))
    assert llm.n_tokens == llm.n_ctx()


@pytest.mark.parametrize("name", SLIDING)
def test_a_window_whose_cells_are_reused(make, name):
    """In another order than that of the tokens, in which attention sums: right, but not bit for bit."""
    llm, full = make(name), make(name, draft="off", swa_full=True)
    assert full.exact and not llm.exact
    tokens = prompt(12, 350)
    want = said(full, tokens, 100, "greedy")
    with llm.drafting(Adversary(tokens + want, llm.n_vocab(), 0.6, 1)):
        said(llm, tokens, 100, "greedy")
    known = llm.input_ids[: llm.n_tokens].tolist()
    llm.eval([500])
    full.reset()
    full.eval([*known, 500])
    assert np.allclose(last_row(llm), last_row(full), rtol=0, atol=0.1)
    with pytest.raises(ExactModeError, match="swa_full is False"):
        make(name, exact=True)


@pytest.mark.parametrize("draft", ["auto", "off"])
@pytest.mark.parametrize("name", STATES)
def test_exact_mode_is_proved_for_a_state_that_cannot_go_back(make, name, draft):
    with make(name, exact=True, draft=draft) as llm:
        assert llm.exact
        assert llm.n_tokens == 0


def test_exact_mode_of_a_hybrid_model(make):
    make("qwen35-tiny", "Q4_K_M", exact=True)
    with pytest.raises(ExactModeError):
        make("qwen35-tiny", "F16", exact=True, row_kernels=False)
