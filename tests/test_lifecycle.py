"""A model used from anywhere at any moment: other calls after a generation, threads, close, cancel, fork, the end."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from itertools import islice
from pathlib import Path

import llama_cpp
import numpy as np
import pytest
from llama_cpp import LlamaGrammar, LlamaRAMCache, LogitsProcessorList

import hd_edge
from hd_edge import ClosedError, ConfigError, ContextFullError, DecodeError, Llama, TokenError
from hd_edge.check.adversary import Adversary

SETTINGS = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, "type_k": 8, "type_v": 8, "seed": 5}
PROMPT = "the cat sat on the mat and then the cat"
OTHER = [1, *range(300, 340)]


def make(models, **more):
    return Llama(
        str(models("Q4_0")), exact=True, row_kernels=False, store=None, statistics=None, **{**SETTINGS, **more}
    )


@pytest.fixture(scope="module")
def base(models):
    llm = llama_cpp.Llama(str(models("Q4_0")), flash_attn=True, verbose=False, **SETTINGS)
    yield llm
    llm.close()


@pytest.fixture(scope="module")
def loaded(models):
    llm = make(models, draft="off")
    yield llm
    llm.close()


@pytest.fixture
def llm(loaded, base):
    """Drafts that know what plain decoding says: steps of many tokens, and many wrong branches."""
    tokens = loaded.tokenize(PROMPT.encode())
    base.reset()
    script = list(islice(base.generate(tokens, temp=0.0), 80))
    loaded._planner = Adversary(tokens + script, loaded.n_vocab(), 0.8, 1)
    loaded.reset()
    base.reset()
    return loaded


@pytest.fixture
def fresh(models):
    """One that the test closes."""
    llm = make(models)
    yield llm
    llm.close()


def take(generation, n):
    tokens = list(islice(generation, n))
    generation.close()
    return tokens


def prompt_of(llm):
    return llm.tokenize(PROMPT.encode())


# -- the low-level loop behind a generation ----------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", ["drafted", "plain"])
def test_rows_given_to_callbacks_are_kept_by_whoever_keeps_them(models, mamba, kind):
    llm = make(models) if kind == "drafted" else Llama(str(mamba), n_ctx=128, n_threads=1, store=None)
    rows, copies = [], []

    def keep(_, scores):
        rows.append(scores)
        copies.append(scores.copy())
        return scores

    def stop(ids, scores):
        keep(ids, scores)
        return len(rows) > 8

    processors = LogitsProcessorList([keep])
    list(llm.generate([1, 300, 301], temp=0.0, logits_processor=processors, stopping_criteria=stop))
    llm.close()
    assert len(rows) > 8
    assert all(np.array_equal(row, copy) for row, copy in zip(rows[:2], copies[:2], strict=True))
    processed = rows[0::2]
    assert all(np.array_equal(row, copy) for row, copy in zip(processed, copies[0::2], strict=True))


@pytest.mark.parametrize("kind", ["drafted", "plain"])
def test_what_a_processor_raises_reaches_the_caller(models, mamba, kind):
    llm = make(models) if kind == "drafted" else Llama(str(mamba), n_ctx=128, n_threads=1, store=None)

    def wrong(_, scores):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        llm(PROMPT, max_tokens=5, logits_processor=LogitsProcessorList([wrong]))
    llm.eval([300])
    with pytest.raises(KeyError, match="mine"):
        llm.sample(logits_processor=LogitsProcessorList([wrong]))
    llm.close()


# -- state -------------------------------------------------------------------------------------------------------


def test_state_of_a_generation_under_way(llm):
    """Saved between any two tokens: the generation goes on, and so does whoever loads the state."""
    tokens = prompt_of(llm)
    want = take(llm.generate(tokens, temp=0.0), 40)
    other = take(llm.generate(OTHER, temp=0.0), 20)
    for n in range(1, 30):
        llm.reset()
        generation = llm.generate(tokens, temp=0.0)
        said = list(islice(generation, n))
        state = llm.save_state()
        assert state.n_tokens == len(tokens) + n - 1
        assert said + list(islice(generation, 5)) == want[: n + 5]
        generation.close()
        take(llm.generate(OTHER, temp=0.0), 3)
        llm.load_state(state)
        assert llm._verifier.check_integrity() == ""
        assert take(llm.generate(tokens + said, temp=0.0), 8) == want[n : n + 8]
        llm.load_state(state)
        assert take(llm.generate(OTHER, temp=0.0), 20) == other


def test_state_with_branches_of_a_tree_is_cleaned_when_it_is_loaded(llm, monkeypatch):
    """As an older version saved it."""
    tokens = prompt_of(llm)
    want = take(llm.generate(OTHER, temp=0.0), 20)
    monkeypatch.setattr("hd_edge.engine.decode.Decoder.pause", lambda self: None)
    for n in range(2, 20):
        llm.reset()
        generation = llm.generate(tokens, temp=0.0)
        list(islice(generation, n))
        state = llm.save_state()
        generation.close()
        llm.load_state(state)
        for sequence in range(1, llm._n_sequences):
            assert llama_cpp.llama_memory_seq_pos_max(llm._ctx.memory, sequence) == -1
        assert take(llm.generate(OTHER, temp=0.0), 20) == want


@pytest.mark.parametrize(
    "damage", [lambda s: setattr(s, "llama_state", b"no state"), lambda s: setattr(s, "llama_state_size", 40)]
)
def test_a_state_that_does_not_load_leaves_an_empty_context(llm, damage):
    want = take(llm.generate(OTHER, temp=0.0), 10)
    state = llm.save_state()
    damage(state)
    with pytest.raises(DecodeError, match="does not fit this model"):
        llm.load_state(state)
    assert llm.n_tokens == 0
    assert take(llm.generate(OTHER, temp=0.0), 10) == want


def test_a_state_of_a_larger_context_is_refused(llm, models):
    llm.eval([300] * 400)
    state = llm.save_state()
    small = make(models, n_ctx=256)
    with pytest.raises(ContextFullError, match="holds 400 tokens, this context 256"):
        small.load_state(state)
    assert len(small.input_ids) == 256
    small.close()


def test_llama_cpps_cache_goes_with_it(llm, base):
    texts = []
    for each in (llm, base):
        each.set_cache(LlamaRAMCache())
        texts.append([each(PROMPT, max_tokens=n, temperature=0.0)["choices"][0]["text"] for n in (5, 12, 7)])
        each.set_cache(None)
    assert texts[0] == texts[1]


# -- cancel ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drafted", "mamba", "draft_model"])
def test_cancel_ends_a_completion_at_any_token(models, mamba, kind):
    more = {"draft_model": llama_cpp.llama_speculative.LlamaPromptLookupDecoding(3)} if kind == "draft_model" else {}
    path = mamba if kind == "mamba" else models("Q4_0")
    llm = Llama(str(path), n_ctx=256, n_threads=1, n_threads_batch=1, store=None, statistics=None, **more)
    want = llm([1, 300, 301], max_tokens=12, temperature=0.0)["choices"][0]["text"]
    for at in (0, 1, 5):
        seen = []

        def stop(ids, _, at=at, seen=seen):
            seen.append(len(ids))
            if len(seen) == at + 1:
                llm.cancel()
            return False

        llm.reset()
        n = len(list(llm.generate([1, 300, 301], temp=0.0, stopping_criteria=stop)))
        assert at + 1 <= n <= at + 65  # a verified path is handed out, at most one tree
        assert kind != "mamba" or n == at + 1
        assert llm([1, 300, 301], max_tokens=12, temperature=0.0)["choices"][0]["text"] == want
    llm.cancel()  # a stop button pressed after the answer
    llm.reset()
    llm.eval([1, 300, 301])
    assert llm([1, 300, 301], max_tokens=12, temperature=0.0)["choices"][0]["text"] == want
    llm.close()


@pytest.mark.parametrize("kind", ["drafted", "mamba"])
def test_cancel_during_a_prompt(models, mamba, kind, capfd):
    """Raised within the forward: llama.cpp asks the flag, the state stays good, and nothing is printed."""
    path = mamba if kind == "mamba" else models("Q4_0")
    llm = Llama(str(path), n_ctx=512, n_batch=64, n_threads=1, n_threads_batch=1, store=None, statistics=None)
    long = [1, *(300 + i % 100 for i in range(400))]
    want = take(llm.generate(long, temp=0.0), 5)
    decode = type(llm._ctx).decode
    for at in (1, 3, 6):
        llm.reset()
        count = 0

        def counted(context, batch, at=at):
            nonlocal count
            count += 1
            if count == at:
                llm.cancel()
            return decode(context, batch)

        llm._ctx.decode = counted.__get__(llm._ctx)
        assert list(llm.generate(long, temp=0.0)) == []
        assert count == at
        count = 0
        llm.reset()
        with pytest.raises(DecodeError, match=r"cancel\(\) ended a forward"):
            llm.eval(long)
        assert llm.n_tokens == (0 if kind == "mamba" else 64 * (at - 1))
        del llm._ctx.decode
        assert take(llm.generate(long, temp=0.0), 5) == want
    llm.close()
    assert capfd.readouterr().err == ""


def test_cancel_of_embeddings(models):
    llm = Llama(str(models("Q4_0")), embedding=True, n_ctx=128, n_threads=1)
    want = llm.embed("the cat")
    decode = type(llm._ctx).decode
    llm._ctx.decode = lambda batch: (llm.cancel(), decode(llm._ctx, batch))
    with pytest.raises(DecodeError, match="cancel"):
        llm.embed("the cat")
    del llm._ctx.decode
    assert llm.embed("the cat") == want
    with pytest.raises(TokenError, match="nothing to embed"):
        llm.embed([])
    llm.close()


def test_two_hundred_cancels_at_random(models):
    """From another thread, whatever the model is doing; every answer in between is right."""
    llm = make(models)
    prompts = [[1, *range(300 + i, 340 + i)] for i in range(4)]
    want = [take(llm.generate(prompt, temp=0.0), 15) for prompt in prompts]
    done, hammering = threading.Event(), threading.Event()
    cancels = 0

    def hammer():
        nonlocal cancels
        while not done.is_set():
            if hammering.wait(0.2) and not done.is_set():
                llm.cancel()
                cancels += 1

    thread = threading.Thread(target=hammer)
    thread.start()
    rng = np.random.default_rng(0)
    while cancels < 200:
        hammering.set()
        for _ in range(4):
            prompt = prompts[rng.integers(4)]
            take(llm.generate(prompt, temp=0.0), int(rng.integers(1, 15)))
        hammering.clear()
        chosen = int(rng.integers(4))
        with llm._life.operation():  # a cancel that was on its way is over
            pass
        got = take(llm.generate(prompts[chosen], temp=0.0), 15)
        assert got == want[chosen][: len(got)]
    done.set()
    hammering.set()
    thread.join()
    assert [take(llm.generate(prompt, temp=0.0), 15) for prompt in prompts] == want
    assert llm._verifier.check_integrity() == ""
    llm.close()


# -- threads -----------------------------------------------------------------------------------------------------


def test_six_threads_on_one_object(models):
    llm = make(models)
    prompts = [f"{letter * 3} the cat sat" for letter in "abcdef"]
    want = [llm(prompt, max_tokens=12, temperature=0.0)["choices"][0]["text"] for prompt in prompts]
    wrong = []

    def work(i):
        for _ in range(4):
            try:
                if llm(prompts[i], max_tokens=12, temperature=0.0)["choices"][0]["text"] != want[i]:
                    wrong.append(i)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    llm.close()


def test_streams_of_many_threads_end_with_an_error_or_are_right(models):
    llm = make(models)
    prompts = [[1, *range(300 + i, 320 + i)] for i in range(4)]
    want = [take(llm.generate(prompt, temp=0.0), 25) for prompt in prompts]
    wrong, ended = [], 0

    def work(i):
        nonlocal ended
        for n in range(12):
            got = []
            try:
                for token in llm.generate(prompts[i], temp=0.0):
                    got.append(token)
                    if len(got) == 25 - n:
                        break
            except DecodeError:
                ended += 1
            if got != want[i][: len(got)]:
                wrong.append((i, got))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [take(llm.generate(prompt, temp=0.0), 25) for prompt in prompts] == want
    assert llm._verifier.check_integrity() == ""
    llm.close()


def test_two_models_in_two_threads(models):
    texts = [[], []]

    def work(i):
        llm = make(models)
        for _ in range(3):
            texts[i].append(llm(PROMPT, max_tokens=20, temperature=0.0)["choices"][0]["text"])
        llm.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(texts[0] + texts[1])) == 1


# -- close -------------------------------------------------------------------------------------------------------


def test_after_close_every_call_is_refused(fresh):
    llm = fresh
    tokenizer, state = llm.tokenizer(), llm.save_state()
    begun, not_begun = llm.generate([1, 300], temp=0.0), llm.generate([1, 300], temp=0.0)
    stream = llm(PROMPT, max_tokens=5, stream=True)
    next(begun)
    llm.close()
    calls = [
        lambda: next(begun), lambda: next(not_begun), lambda: next(stream), lambda: llm(PROMPT),
        lambda: llm(PROMPT, stream=True), lambda: llm.create_chat_completion([{"role": "user", "content": "x"}]),
        lambda: llm.generate([1]), lambda: llm.generate(PROMPT), lambda: llm.tokenize(b"x"), lambda: llm.eval([1]),
        lambda: llm.detokenize([300]), lambda: llm.sample(), llm.reset, llm.save_state, lambda: llm.load_state(state),
        lambda: llm.embed("x"), lambda: llm.create_embedding("x"), lambda: llm.set_cache(None), llm.n_ctx, llm.n_vocab,
        llm.n_embd, llm.token_eos, llm.token_bos, llm.token_nl, llm.pooling_type, lambda: llm.ctx, lambda: llm.model,
        llm.__enter__,
    ]  # fmt: skip
    for number, call in enumerate(calls):
        with pytest.raises(ClosedError, match="the model is closed"):
            call()
        assert number < len(calls)
    for call in (lambda: tokenizer.tokenize(b"x"), lambda: tokenizer.detokenize([301])):
        with pytest.raises(Exception, match=r"model is closed|wrong type"):  # ctypes says it in its own words
            call()
    llm.cancel()
    llm.close()
    assert llm.stats.tokens == 1


def test_context_manager_closes(models):
    with make(models) as llm:
        assert llm(PROMPT, max_tokens=2)["usage"]["completion_tokens"] == 2
    with pytest.raises(ClosedError):
        llm(PROMPT)


@pytest.mark.parametrize("where", ["processor", "stopping criterion", "step"])
def test_close_waits_for_the_step_under_way_and_learns_the_answer(models, tmp_path, where):

    llm = Llama(str(models("Q4_0")), store=tmp_path / "own.sqlite3", statistics=None, **SETTINGS)
    inside, go, raised = threading.Event(), threading.Event(), []
    seen = 0

    def wait(*arguments):
        nonlocal seen
        seen += 1
        if seen == 12:
            inside.set()
            assert go.wait(60)
        return arguments[-1] if where == "processor" else False

    more = {
        "processor": {"logits_processor": LogitsProcessorList([wait])},
        "stopping criterion": {"stopping_criteria": wait},
    }
    if where == "step":
        llm.on_step = wait

    def run():
        try:
            list(llm.generate(prompt_of(llm), temp=0.0, **more.get(where, {})))
        except Exception as error:
            raised.append(error)

    running = threading.Thread(target=run)
    running.start()
    assert inside.wait(60)
    closing = threading.Thread(target=llm.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    go.set()
    closing.join(60)
    running.join(60)
    assert not closing.is_alive()
    assert not running.is_alive()
    assert isinstance(raised[0], ClosedError)
    with Llama(str(models("Q4_0")), store=tmp_path / "own.sqlite3", statistics=None, **SETTINGS) as again:
        assert again._hierarchy.model.store.counters()["tokens"] >= 10


def test_close_within_a_callback(fresh):
    def stop(ids, _):
        if len(ids) > 12:
            fresh.close()
        return False

    with pytest.raises(ClosedError):
        list(fresh.generate([1, *range(300, 310)], temp=0.0, stopping_criteria=stop))
    with pytest.raises(ClosedError):
        fresh.n_vocab()


def test_close_at_any_moment_of_a_completion(models):
    """No wait in between: the closing thread races with prefill, forwards, draws and the end."""
    for i in range(25):
        llm = make(models)
        begun = threading.Event()
        outcome = []

        def run(llm=llm, begun=begun, outcome=outcome, i=i):
            begun.set()
            try:
                outcome.append(llm([1, *range(300, 310 + 4 * i)], max_tokens=i, temperature=0.8)["usage"])
            except ClosedError as error:
                outcome.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        begun.wait()
        for _ in range(i * 40):
            llm.cancelled_before = llm._life.cancelled  # any work: the moment moves with i
        llm.close()
        thread.join(60)
        assert not thread.is_alive()
        assert len(outcome) == 1


@pytest.mark.parametrize("use", ["grammar", "bias", "processor", "sample", "stream", "open", "cancelled"])
def test_del_frees_without_the_cycle_collector(models, use):
    def go(llm):
        if use == "grammar":
            llm(PROMPT, max_tokens=5, grammar=LlamaGrammar.from_string('root ::= "ab" "c"*', verbose=False))
        elif use == "bias":
            llm(PROMPT, max_tokens=5, logit_bias={300: 1.0})
        elif use == "processor":
            llm(PROMPT, max_tokens=5, logits_processor=LogitsProcessorList([lambda _, scores: scores]))
        elif use == "sample":
            llm.eval([300])
            llm.sample(logits_processor=LogitsProcessorList([lambda _, scores: scores]))
        elif use == "stream":
            next(llm(PROMPT, max_tokens=5, stream=True))
        elif use == "open":
            next(llm.generate([1, 300], temp=0.0))
        else:
            generation = llm.generate([1, 300], temp=0.0)
            next(generation)
            llm.cancel()
            assert list(generation) == list(generation)

    gc.collect()
    gc.disable()
    try:
        llm = make(models)
        go(llm)
        left = weakref.ref(llm)
        del llm
        assert left() is None
    finally:
        gc.enable()


def test_a_generation_dropped_in_another_thread(llm):
    want = take(llm.generate(OTHER, temp=0.0), 20)
    for n in (1, 4, 9):
        held = [llm.generate(prompt_of(llm), temp=0.0)]
        list(islice(held[0], n))
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        assert llm._verifier.check_integrity() == ""
        assert take(llm.generate(OTHER, temp=0.0), 20) == want


# -- options -----------------------------------------------------------------------------------------------------

WRONG = {
    "temperature": (-0.1, float("nan"), float("inf"), "hot", True, None),
    "top_p": (-0.1, 1.1, float("nan"), None),
    "min_p": (-0.1, 1.1),
    "typical_p": (-0.1, 1.1),
    "top_k": (-2, 2**31, 1.5, "all"),
    "repeat_penalty": (0.0, -1.0, float("inf")),
    "frequency_penalty": (float("nan"), "x"),
    "presence_penalty": (float("-inf"),),
    "mirostat_mode": (-1, 3, 1.0),
    "mirostat_tau": (-1.0,),
    "mirostat_eta": (float("nan"),),
    "seed": (-2, 2**32, 1.5, "x", True),
    "max_tokens": (1.5, "x", True, float("inf")),
}


@pytest.mark.parametrize("name", WRONG)
def test_sampling_options_out_of_range_are_refused(llm, name):
    for value in WRONG[name]:
        for stream in (False, True):
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.create_completion(PROMPT, stream=stream, **{name: value})
            with pytest.raises(ConfigError, match=f"{name}=.* is not "):
                llm.create_chat_completion([{"role": "user", "content": "x"}], stream=stream, **{name: value})
        if name in ("seed", "max_tokens"):
            continue
        lower = {"temperature": "temp"}.get(name, name)
        with pytest.raises(ConfigError, match=f"{lower}=.* is not "):
            llm.generate([1], **{lower: value})
        llm.eval([300])
        with pytest.raises(ConfigError, match=f"{lower}=.* is not "):
            llm.sample(**{lower: value})


@pytest.mark.parametrize("max_tokens", [None, 0, -5])
def test_max_tokens_without_a_limit_is_the_room_there_is(llm, base, max_tokens):
    long = [1, *(300 + i % 100 for i in range(490))]
    answers = [each.create_completion(long, max_tokens=max_tokens, temperature=0.0) for each in (llm, base)]
    assert answers[0]["choices"] == answers[1]["choices"]
    assert answers[0]["usage"]["total_tokens"] <= 512


def test_options_at_their_ends_are_taken(llm):
    settings = {
        "top_k": -1,
        "top_p": 1.0,
        "min_p": 0.0,
        "typical_p": 1,
        "seed": 2**32 - 1,
        "temperature": np.float32(0.5),
    }
    assert llm(PROMPT, max_tokens=np.int64(3), **settings)["usage"]["completion_tokens"] == 3


# -- processes ---------------------------------------------------------------------------------------------------


def child(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(hd_edge.__file__).parent.parent), *sys.path])}
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code, *arguments],
        capture_output=True, text=True, timeout=300, env=environment,
    )  # fmt: skip


LOAD = """
import os, sys, threading
from hd_edge import Llama, ClosedError
settings = dict(n_ctx=512, n_threads=int(sys.argv[2]), n_threads_batch=int(sys.argv[2]), store=None, statistics=None)
llm = Llama(sys.argv[1], **settings)
"""


def test_the_interpreter_ends_in_the_middle_of_a_generation(models):
    code = (
        LOAD
        + """
begun = threading.Event()
def run():
    while True:
        for i, token in enumerate(llm.generate([1, *range(300, 340)], temp=0.8)):
            if i == 5: begun.set()
threading.Thread(target=run, daemon=True).start()
begun.wait()
generation = Llama(sys.argv[1], **settings).generate([1, 300], temp=0.0)
next(generation)
print("end")
"""
    )
    for _ in range(3):
        done = child(code, str(models("Q4_0")), "1")
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_forked_child_works_or_says_why_it_cannot(models, threads):
    code = (
        LOAD
        + """
want = llm("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"]
open_one = llm.generate([1, 300], temp=0.0)
next(open_one)
child = os.fork()
if child == 0:
    try:
        llm.reset()
        print("same" if llm("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"] == want else "other")
    except ClosedError as error:
        print(error)
    llm.close()
    sys.exit(7)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
next(open_one)
print(code, llm("the cat", max_tokens=8, temperature=0.0)["choices"][0]["text"] == want)
"""
    )
    done = child(code, str(models("Q4_0")), threads)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first == "same" if threads == "1" else "the 2 threads it computes with stayed behind" in first
    assert last == "7 True"


def test_a_fork_while_another_thread_computes(models):
    code = (
        LOAD
        + """
inside, go = threading.Event(), threading.Event()
def stop(ids, scores):
    inside.set(); go.wait()
    return True
thread = threading.Thread(target=lambda: list(llm.generate([1, 300], temp=0.0, stopping_criteria=stop)))
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    try:
        llm("the cat")
    except ClosedError as error:
        print(error)
    sys.exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
go.set()
thread.join()
print(code)
"""
    )
    done = child(code, str(models("Q4_0")), "1")
    assert done.returncode == 0, done.stderr
    said, code = done.stdout.splitlines()
    assert "another thread was computing with it" in said
    assert code == "0"


def test_ctrl_c_while_a_model_loads_is_not_lost(models):
    """The signal comes while llama.cpp calls Python: what the handler raises there would end in ctypes."""
    code = """
import os, signal, sys
from llama_cpp import llama_cpp as lib
from hd_edge import Llama
lines = 0
def log(level, text, data):
    global lines
    lines += 1
    if lines == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGINT)
callback = lib.llama_log_callback(log)
lib.llama_log_set(callback, None)
try:
    Llama(sys.argv[1], store=None, n_ctx=64)
except KeyboardInterrupt:
    print("interrupted")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
os._exit(0)
"""
    for line in ("1", "20", "60"):
        done = child(code, str(models("Q4_0")), line)
        assert done.stdout == "interrupted\n", done.stderr
