"""llama_cpp's low-level calls before, behind and within generations, and what callbacks may do."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import islice

import numpy as np
import pytest
from llama_cpp import LogitsProcessorList
from one_model import OTHER, PROMPT, make, prompt_of, take

from hd_edge import ConfigError, ContextFullError, DecodeError, Llama


@pytest.mark.parametrize("n", [1, 2, 7, 23])
@pytest.mark.parametrize("left", ["closed", "open"])
def test_sample_behind_a_generation_draws_from_the_last_row(llm, base, n, left):
    drawn, open_ones = [], []
    for each in (llm, base):
        generation = each.generate(prompt_of(each), temp=0.0)
        list(islice(generation, n))
        open_ones.append(generation)
        if left == "closed":
            generation.close()
            each._sampler = None  # llama_cpp would go on with the generation's
        tokens = [each.sample(temp=0.0)]
        for _ in range(5):
            each.eval(tokens[-1:])
            tokens.append(each.sample(temp=0.0))
        drawn.append((tokens, each.n_tokens, each._input_ids.tolist()))
    assert drawn[0] == drawn[1]


def test_low_level_loop_behind_a_completion(llm, base):
    drawn = []
    for each in (llm, base):
        each(PROMPT, max_tokens=9, temperature=0.0)
        each.reset()
        each.eval(OTHER)
        drawn.append(each.sample(temp=0.0))
    assert drawn[0] == drawn[1]


def test_a_low_level_call_ends_an_open_generation(llm):
    generation = llm.generate(prompt_of(llm), temp=0.0)
    list(islice(generation, 5))
    llm.eval([300])
    assert llm._input_ids[-1] == 300
    with pytest.raises(DecodeError, match="another call, began on the same object"):
        next(generation)


def test_sample_without_logits_is_refused(llm):
    with pytest.raises(DecodeError, match="no logits of row -1 to draw from, 0 tokens"):
        llm.sample()
    llm.eval(OTHER)
    with pytest.raises(DecodeError, match="no logits of row -3"):
        llm.sample(idx=llm.n_tokens - 3)


def test_eval_past_the_context_is_refused(llm):
    llm.eval(OTHER)
    with pytest.raises(ContextFullError, match=f"500 more tokens, room for {512 - len(OTHER)}"):
        llm.eval([300] * 500)
    assert llm.n_tokens == len(OTHER)


def test_what_a_callback_asks_of_its_own_model_is_refused(llm):
    refused = []

    def processor(_, scores):
        for use in (lambda: llm.eval([5]), llm.reset, llm.save_state, lambda: llm(PROMPT), lambda: llm.sample()):
            with pytest.raises(DecodeError, match="within a step of this very thread"):
                use()
            refused.append(use)
        assert llm.tokenize(b"the cat")
        return scores

    want = llm(PROMPT, max_tokens=6, temperature=0.0)["choices"]
    llm.reset()
    got = llm(PROMPT, max_tokens=6, temperature=0.0, logits_processor=LogitsProcessorList([processor]))["choices"]
    assert got == want
    assert len(refused) >= 5 * 6


@pytest.fixture(params=["llama", "mamba"])
def either(request, models, mamba, opened):
    """One that drafts trees, and one of a recurrent state."""
    return opened(make(models) if request.param == "llama" else Llama(str(mamba), n_ctx=128, n_threads=1, store=None))


def test_rows_given_to_callbacks_are_kept_by_whoever_keeps_them(either):
    rows, copies = [], []

    def keep(_, scores):
        rows.append(scores)
        copies.append(scores.copy())
        return scores

    def stop(ids, scores):
        keep(ids, scores)
        return len(rows) > 8

    processors = LogitsProcessorList([keep])
    list(either.generate([1, 300, 301], temp=0.0, logits_processor=processors, stopping_criteria=stop))
    assert len(rows) > 8
    # A processor's rows and a criterion's, in turn; llama_cpp gives the latter rows of an array that it does not fill.
    kept = slice(0, None, 2) if "mamba" in either.model_path else slice(None)
    assert all(np.array_equal(row, copy) for row, copy in zip(rows[kept], copies[kept], strict=True))


def test_what_a_processor_raises_reaches_the_caller(either):
    def wrong(_, scores):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        either(PROMPT, max_tokens=5, logits_processor=LogitsProcessorList([wrong]))
    either.eval([300])
    with pytest.raises(KeyError, match="mine"):
        either.sample(logits_processor=LogitsProcessorList([wrong]))


@pytest.mark.parametrize("returned", [None, 1.0, "text", [0.0] * 3, np.zeros(511), np.zeros((512, 1)), [None] * 512])
def test_what_a_processor_returns_is_scores(either, returned):
    """Else llama_cpp prints an error and draws as if there were no processor; None makes all scores NaN."""
    for processor in (lambda *_: returned, LogitsProcessorList([lambda *_: returned, lambda _, scores: scores])):
        with pytest.raises(ConfigError, match=r"a logits processor returned .*, expected \d+ numbers"):
            either(PROMPT, max_tokens=5, logits_processor=processor)
    wanted = either(PROMPT, max_tokens=5, temperature=0.0)["choices"][0]["text"]
    for form in (np.float64, list, lambda scores: scores[None]):
        said = either(PROMPT, max_tokens=5, temperature=0.0, logits_processor=lambda _, scores, form=form: form(scores))
        assert said["choices"][0]["text"] == wanted


@pytest.mark.parametrize("wrong", [-5, 1 << 20, "x", None])
@pytest.mark.parametrize("call", ["eval", "sample", "generate", "go_on"])
def test_a_number_of_tokens_that_no_context_holds(llm, call, wrong):
    """Nobody knows any more what the memory holds: said once, and what comes next computes all of its prompt."""
    prompt = prompt_of(llm)
    want = list(islice(llm.generate(prompt, temp=0.0), 20))
    llm.n_tokens = wrong
    calls = {
        "eval": lambda: llm.eval([300]),
        "sample": lambda: llm.sample(idx=0),
        "generate": lambda: next(llm.generate(prompt)),
        "go_on": lambda: next(llm.generate([300], reset=False)),
    }
    with pytest.raises(DecodeError, match=r"n_tokens was set to .*: nothing is known any more"):
        calls[call]()
    assert llm.n_tokens == 0
    assert list(islice(llm.generate(prompt, temp=0.0), 20)) == want


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("ending", ["next", "close"])
@pytest.mark.parametrize("wrong", [-5, "n - 2", "n + 40", 10**9, "x", None, 0])
def test_a_number_of_tokens_set_while_a_generation_rests(llm, models, tmp_path, wrong, ending, learns):
    """It is refused, or is how many the end leaves; what was said is learned as it was said."""
    with ExitStack() as parts:
        if learns:
            llm = parts.enter_context(make(models, store=tmp_path / "store.sqlite3", prefix_cache=None))
        prompt = prompt_of(llm)
        want = list(islice(llm.generate(prompt, temp=0.0), 20))
        for steps in (1, 4, 9):
            generation = llm.generate(prompt, temp=0.0)
            list(islice(generation, steps))
            held = llm.n_tokens
            llm.input_ids[held:] = -1890988704  # as what nobody has written may be
            now = {"n - 2": held - 2, "n + 40": held + 40}.get(wrong, wrong)
            llm.n_tokens = now
            if ending == "next" and wrong is not None:
                with pytest.raises(DecodeError, match=f"n_tokens was set to {now!r} while a generation rested that"):
                    next(generation)
            generation.close()
            assert llm.n_tokens == (now if isinstance(now, int) and 0 <= now < held else held)
            assert llm.verifier.check_integrity() == ""
            llm.catch_up()
            assert list(islice(llm.generate(prompt, temp=0.0), 20)) == want


@pytest.mark.parametrize("broken", ["too long", "interrupted"])
def test_embeddings_that_end_half_way_leave_nothing_in_the_memory(models, monkeypatch, broken):
    settings = {"embedding": True, "n_ctx": 128, "n_threads": 1, "n_threads_batch": 1, "prefix_cache": None}
    with Llama(str(models("Q4_0")), store=None, statistics=None, **settings) as llm:
        want = take(llm.generate(OTHER, temp=0.0), 8)
        take(llm.generate(OTHER[:-1], temp=0.0), 1)
        texts = ["the cat " * 12] * 3
        if broken == "too long":
            with pytest.raises(ContextFullError, match=r"text 3 has \d+ tokens, a batch 128: .*larger n_batch"):
                llm.embed([*texts, "the cat " * 90], truncate=False)
        else:
            decode, calls = llm._ctx.decode, []

            def second(batch):
                calls.append(batch)
                if len(calls) == 2:
                    raise KeyboardInterrupt
                decode(batch)

            monkeypatch.setattr(llm._ctx, "decode", second)
            with pytest.raises(KeyboardInterrupt):
                llm.embed(texts * 2)
            monkeypatch.undo()
        assert take(llm.generate(OTHER, temp=0.0), 8) == want
