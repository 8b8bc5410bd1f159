"""cancel(): at any moment, from anywhere, on every kind of model; it never reaches the next call."""

from __future__ import annotations

import threading
from itertools import islice

import llama_cpp
import numpy as np
import pytest
from one_model import ALONE, ONE, make, take

from hd_edge import DecodeError, Llama, TokenError
from hd_edge.check.adversary import Adversary


@pytest.mark.parametrize("kind", ["drafted", "mamba", "draft_model"])
def test_cancel_ends_a_completion_at_any_token(models, mamba, opened, kind):
    more = {"draft_model": llama_cpp.llama_speculative.LlamaPromptLookupDecoding(3)} if kind == "draft_model" else {}
    path = mamba if kind == "mamba" else models("Q4_0")
    llm = opened(Llama(str(path), n_ctx=256, **ONE, **more))
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
        assert kind != "mamba" or n <= at + 8  # a chain of one row and seven drafted ones
        assert llm([1, 300, 301], max_tokens=12, temperature=0.0)["choices"][0]["text"] == want
    llm.cancel()  # a stop button pressed after the answer
    llm.reset()
    llm.eval([1, 300, 301])
    assert llm([1, 300, 301], max_tokens=12, temperature=0.0)["choices"][0]["text"] == want


@pytest.mark.parametrize("kind", ["drafted", "mamba"])
def test_cancel_during_a_prompt(models, mamba, kind, capfd):
    """Raised within the forward: llama.cpp asks the flag, the state stays good, and nothing is printed."""
    path = mamba if kind == "mamba" else models("Q4_0")
    llm = Llama(str(path), n_ctx=512, n_batch=64, **ONE)
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


def test_cancel_of_embeddings(models, opened):
    llm = opened(Llama(str(models("Q4_0")), embedding=True, n_ctx=128, n_threads=1))
    want = llm.embed("the cat")
    decode = type(llm._ctx).decode
    llm._ctx.decode = lambda batch: (llm.cancel(), decode(llm._ctx, batch))
    with pytest.raises(DecodeError, match="cancel"):
        llm.embed("the cat")
    del llm._ctx.decode
    assert llm.embed("the cat") == want
    with pytest.raises(TokenError, match="nothing to embed"):
        llm.embed([])


def test_two_hundred_cancels_at_random(models, opened):
    """From another thread, whatever the model is doing; every answer in between is right."""
    llm = opened(make(models))
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
    assert llm.verifier.check_integrity() == ""


@pytest.mark.parametrize("name", ["mamba2-tiny", "granite-hybrid-tiny"])
def test_a_wish_that_comes_while_a_generation_settles(shapes, monkeypatch, name):
    """What was accepted and not fed is fed at its end, whoever cancels meanwhile; nothing is raised or lost."""
    forwards = []
    with Llama(str(shapes(name)), n_ctx=256, **ALONE) as llm:
        prompt = [1, *range(300, 320)]
        want = take(llm.generate(prompt, temp=0.0), 60)
        decode = llm._ctx.decode

        def cancelling(batch):
            forwards.append(batch)
            llm.cancel()
            decode(batch)

        with llm.drafting(Adversary(prompt + want, llm.n_vocab(), 0.8, 1)):
            for n in range(1, 40):
                llm.reset()
                generation = llm.generate(prompt, temp=0.0)
                said = list(islice(generation, n))
                with monkeypatch.context() as patched:
                    patched.setattr(llm._ctx, "decode", cancelling)
                    generation.close()
                assert llm.n_tokens == len(prompt) + n - 1
                assert take(llm.generate(prompt + said, temp=0.0), 3) == want[n : n + 3]
                assert llm.stats.cached_tokens == len(prompt) + n - 1
    assert forwards
