"""close() at any moment, and del: what is refused, what is waited for, what is learned, what is freed."""

from __future__ import annotations

import gc
import threading
import weakref
from itertools import islice

import pytest
from llama_cpp import LlamaGrammar, LogitsProcessorList
from one_model import OTHER, PROMPT, SETTINGS, make, prompt_of, take

from hd_edge import ClosedError, Llama


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
    for call in calls:
        with pytest.raises(ClosedError, match="the model is closed"):
            call()
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
    for i in range(12):
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
        for _ in range(i * 80):
            llm.n_vocab()  # any work: the moment moves with i
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
        assert llm.verifier.check_integrity() == ""
        assert take(llm.generate(OTHER, temp=0.0), 20) == want
