"""Engine: in any company, a conversation has the tokens and the logits that it has alone."""

from __future__ import annotations

import random
import threading
import time

import pytest
from company import WINDOW, Asked, Oracle, asked, in_company, integrity
from llama_cpp import LlamaGrammar
from one_model import ONE

from hd_edge import DecodeError, Engine, Llama
from hd_edge.batching import slots
from hd_edge.model.questions import read_questions


@pytest.mark.parametrize("drafts", ["own", "many"])
@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q4_K_M", "Q6_K"])
def test_tokens_and_logits_in_company_are_those_alone(models, kind, drafts):
    path = str(models(kind))
    with Engine(path, parallel=5, n_ctx=WINDOW, **ONE) as engine, Llama(path, n_ctx=WINDOW, **ONE) as alone:
        assert engine.exact
        everything = [asked(seed, alone.n_vocab()) for seed in range(40)]
        expected = [one.of(alone) for one in everything]
        if drafts == "many":
            answers = {tuple(one.prompt): tokens for one, (tokens, _) in zip(everything, expected, strict=True)}
            for slot in engine.slots:
                slot._planner = Oracle(answers, slot.number)
        company = in_company(engine, everything, 1)
        for (tokens, rows), (others, logits) in zip(company, expected, strict=True):
            assert (tokens, rows) == (others, logits)
        total = engine.total_stats
        if drafts == "many":
            assert sum(total.accepted.values()) > 200
            assert sum(total.drafted.values()) > 400
        assert total.cached_tokens > 100
        assert engine.steps.rows > 2 * engine.steps.forwards  # there was company
        assert integrity(engine) == ""


def test_the_team_of_threads_hears_of_forwards_that_read_prompts_besides(models, monkeypatch):
    """Where prompts come all the time there is no other forward to learn from."""
    told, seen = [], []
    with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, draft="off", **ONE) as engine:
        loop = engine._loop
        monkeypatch.setattr(loop._pace, "after", lambda rows, cells, seconds: told.append(seconds))
        observe = loop.budget.observe

        def look(rows, seconds, prompt=0):
            seen.append((rows, prompt))
            observe(rows, seconds, prompt)

        monkeypatch.setattr(loop.budget, "observe", look)
        answer = engine.submit([5] * 8, max_tokens=200, temperature=0.0, stream=True)
        next(iter(answer))
        engine.submit(list(range(10, 190)), max_tokens=1, stream=False).result()
        answer.cancel()
    assert len(told) == sum(1 for rows, _ in seen if rows)
    assert any(rows and prompt for rows, prompt in seen)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smollm2_q4_0", "smollm2"])
def test_two_hundred_answers_in_random_company(request, kind):
    """Real answers, up to eight at a time; other lengths and temperatures, some cancelled, some behind long prompts."""
    path, choose = str(request.getfixturevalue(kind)), random.Random(19)
    with Engine(path, parallel=8, n_ctx=1024, **ONE) as engine, Llama(path, n_ctx=1024, **ONE) as alone:
        pool = [alone.tokenize(q.turns[0].encode()) for q in read_questions(built_in="prompts.txt")]
        everything = []
        for _ in range(200):
            prompt = [token for text in choose.choices(pool, k=choose.choice([1, 1, 2, 20])) for token in text]
            temp = choose.choice([0.0, 0.0, 0.3, 0.7, 1.0])
            settings = {"temp": temp, "seed": choose.randrange(2**31)} if temp else {"temp": 0.0}
            everything.append(Asked(prompt[:800], choose.randrange(1, 128), settings))
        engine._free = engine.seats[6:]  # the others are taken below
        gone = [engine.submit(one.prompt, max_tokens=200, user="gone") for one in choose.sample(everything, 20)]
        canceller = threading.Thread(target=lambda: [time.sleep(choose.random()) or one.cancel() for one in gone])
        canceller.start()
        company = in_company(engine, everything, 19, seats=engine.seats[:6])
        canceller.join()
        assert company == [one.of(alone) for one in everything]
        assert engine.steps.rows > 3 * engine.steps.forwards


@pytest.mark.parametrize("name", ["llama", "gemma3-tiny", "gemma4-tiny", "gpt-oss-tiny"])
def test_nothing_changes_where_the_cells_are_few(models, shapes, name):
    """The log fills up again and again: cells move together, also those that a window has left."""
    path = str(models("Q4_0") if name == "llama" else shapes(name))
    few = {"n_ctx": WINDOW, "n_cells": 2 * WINDOW, "n_batch": 50, "n_ubatch": 50}
    with Engine(path, parallel=6, **few, **ONE) as engine, Llama(path, n_ctx=WINDOW, **ONE) as alone:
        assert engine.exact
        everything = [asked(seed, alone.n_vocab()) for seed in range(60)]
        for number, one in enumerate(everything[::2]):  # longer than the windows
            one.prompt[:0] = random.Random(number % 5).choices(range(300, alone.n_vocab()), k=100)
        expected = [one.of(alone) for one in everything]
        answers = {tuple(one.prompt): tokens for one, (tokens, _) in zip(everything, expected, strict=True)}
        for slot in engine.slots:
            slot._planner = Oracle(answers, slot.number)
        assert in_company(engine, everything, 2) == expected
        assert engine.compactions > 3
        assert integrity(engine) == ""


def test_a_compaction_that_fails_ends_what_runs_and_nothing_else(shapes, monkeypatch):
    path, few = str(shapes("gpt-oss-tiny")), {"n_ctx": WINDOW, "n_batch": 50, "n_ubatch": 50}
    with Engine(path, parallel=1, **few, **ONE) as engine, Llama(path, n_ctx=WINDOW, **ONE) as alone:
        prompts = [random.Random(seed).choices(range(300, alone.n_vocab()), k=150) for seed in range(20)]
        options = {"max_tokens": 20, "temperature": 0.0, "logprobs": 1}
        monkeypatch.setattr(slots, "go_on_behind", lambda *_: False)
        with pytest.raises(DecodeError, match="the conversations are forgotten"):
            for prompt in prompts:
                engine.submit(prompt, **options).result()
        assert engine.compactions == engine.model.shared.used == 0
        monkeypatch.undo()
        for prompt in prompts:
            want = alone.create_completion(prompt, **options)["choices"]
            assert engine.submit(prompt, **options).result()["choices"] == want
        assert engine.compactions > 1
        assert integrity(engine) == ""


def test_text_of_chats_and_completions_is_that_of_llama(smollm2_q4_0):
    path = str(smollm2_q4_0)
    questions = [
        "Name three fruits.",
        "What is the capital of France?",
        "Count to ten.",
        "Say hello.",
        "Why is rain wet?",
    ]
    grammar = LlamaGrammar.from_string('root ::= "yes" | "no, " [a-z]+ "."', verbose=False)
    chats = [{"messages": [{"role": "user", "content": q}], "max_tokens": 30, "temperature": 0.0} for q in questions]
    chats += [chats[0] | {"temperature": 0.9, "seed": 7}, chats[1] | {"grammar": grammar}]
    chats += [chats[2] | {"logprobs": True, "top_logprobs": 2}, chats[3] | {"stop": ["o"]}]
    with Engine(path, parallel=4, n_ctx=512, **ONE) as engine, Llama(path, n_ctx=512, **ONE) as alone:
        handles = [engine.submit(**chat) for chat in chats]
        streams = [engine.submit(**chat, stream=True) for chat in chats]
        completion = engine.submit("Once upon a time", max_tokens=16, temperature=0.0, echo=True)
        for chat, handle, stream in zip(chats, handles, streams, strict=True):
            whole = alone.create_chat_completion(**chat)["choices"][0]
            answer = handle.result()["choices"][0]
            assert (answer["message"], answer["finish_reason"]) == (whole["message"], whole["finish_reason"])
            assert answer["logprobs"] == whole["logprobs"]
            pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in stream]
            assert "".join(pieces) == whole["message"]["content"]
        expected = alone.create_completion("Once upon a time", max_tokens=16, temperature=0.0, echo=True)
        assert completion.result()["choices"] == expected["choices"]
