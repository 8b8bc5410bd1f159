"""The calls of an Engine: cancelled, refused, in turns, closed, awaited, learned from."""

from __future__ import annotations

import asyncio
import copy
import pickle
import random
import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest
from company import WINDOW, asked, in_company
from llama_cpp import LogitsProcessorList
from one_model import ONE

from hd_edge import BusyError, ClosedError, ConfigError, ContextFullError, Engine, Llama
from hd_edge.draft.cost import CostCurve
from hd_edge.errors import DecodeError, TokenError


def test_what_is_cancelled_ends_and_disturbs_nobody(models):
    path = str(models("Q4_0"))
    with Engine(path, parallel=3, n_ctx=WINDOW, **ONE) as engine, Llama(path, n_ctx=WINDOW, **ONE) as alone:
        everything = [asked(seed, alone.n_vocab()) for seed in range(30)]
        expected = [one.of(alone)[0] for one in everything]
        choose = random.Random(3)
        handles = []
        for one in everything:
            handles.append(engine.submit(one.prompt, max_tokens=one.tokens, temperature=0.0))
            if choose.random() < 0.5:
                choose.choice(handles).cancel()
        company = []
        for handle in handles:
            try:
                company.append(handle.result(timeout=60)["usage"]["completion_tokens"])
            except CancelledError:
                company.append(None)
        assert None in company
        assert any(company)
        again = in_company(engine, everything, 4)
        assert [tokens for tokens, _ in again] == expected


def test_users_take_turns_and_a_full_queue_refuses(models):
    path = str(models("Q4_0"))
    order: list[str] = []
    with Engine(path, parallel=1, n_ctx=WINDOW, queue=5, **ONE) as engine:
        began = threading.Event()
        go_on = threading.Event()

        def hold(_: object, scores: np.ndarray) -> np.ndarray:
            began.set()
            go_on.wait()
            return scores

        first = engine.submit([1, 300], max_tokens=1, logits_processor=LogitsProcessorList([hold]))
        began.wait()
        handles = [engine.submit([1, 300], max_tokens=1, user=user) for user in "aaab"]
        for user, handle in zip("aaab", handles, strict=True):
            begin = handle._begin
            handle._begin = lambda seat, begin=begin, user=user: order.append(user) or begin(seat)
        engine.submit([1, 300], max_tokens=1, user="c").cancel()
        handles.append(engine.submit([1, 300], max_tokens=1, user="d"))
        with pytest.raises(BusyError, match="5 requests wait, at most 5 may"):
            engine.submit([1, 300], max_tokens=1)
        go_on.set()
        for handle in [first, *handles]:
            assert handle.result(timeout=60)["usage"]["completion_tokens"] == 1
    assert order == ["a", "b", "a", "a"]


@pytest.mark.parametrize("kind", ["logits_processor", "stopping_criteria"])
@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, MemoryError])
def test_whatever_a_callback_raises_ends_its_own_request_alone(models, kind, raised):
    def breaks(_: object, __: object) -> None:
        raise raised

    with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, **ONE) as engine:
        want = engine.submit([1, 300, 301], max_tokens=60, temperature=0.0).result(timeout=60)["choices"]
        other = engine.submit([1, 300, 301], max_tokens=60, temperature=0.0)
        ends = RuntimeError if raised is StopIteration else raised  # as in any generator
        with pytest.raises(ends):
            engine.submit([1, 302], **{kind: [breaks]}).result(timeout=60)
        assert other.result(timeout=60)["choices"] == want
        assert engine.submit([1, 300, 301], max_tokens=60, temperature=0.0).result(timeout=60)["choices"] == want


def test_errors_are_the_request_s_own(models):
    path = str(models("Q4_0"))

    def breaks(_: object, __: object) -> np.ndarray:
        msg = "a processor of the user's"
        raise ZeroDivisionError(msg)

    def never_ends(_: object, scores: np.ndarray) -> np.ndarray:
        scores[2] = -np.inf
        return scores

    with Engine(path, parallel=2, n_ctx=256, **ONE) as engine:
        good = engine.submit([1, 300, 301], max_tokens=40)
        with pytest.raises(ContextFullError, match="300 tokens, the context window 256"):
            engine.submit([300] * 300).result()
        with pytest.raises(TokenError, match="outside the vocabulary"):
            engine.submit([10**6]).result()
        with pytest.raises(ZeroDivisionError, match="of the user's"):
            engine.submit([1, 300], logits_processor=LogitsProcessorList([breaks])).result()
        for user in (None, 5, ["a"]):
            with pytest.raises(ConfigError, match=r"user=.* is not a text"):
                engine.submit("the cat", user=user)
        with pytest.raises(ConfigError, match="exactly one"):
            engine.submit()
        with pytest.raises(ConfigError, match="no stream"):
            next(iter(good))
        assert good.result()["usage"]["completion_tokens"] == 40
        seat = engine.seats[0]
        with pytest.raises(ContextFullError, match="the context is full: 256 tokens"):
            list(seat.generate([1, 300], temp=0.0, logits_processor=LogitsProcessorList([never_ends])))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parallel": 0}, "parallel=0 is not an integer from 1"),
        ({"n_ctx": "many"}, "n_ctx='many' is not an integer"),
        ({"n_ctx": 512, "n_cells": 256}, "n_cells=256 is not an integer from 512"),
        ({"parallel": 63, "n_ctx": 2**30}, "need 67645734912 cells, .* or say n_cells"),
        ({"parallel": 1, "n_ctx": 2**31 - 1}, "rejected drafts are more than the 2147483647 of a context"),
        ({"n_batch": "many"}, "n_batch='many' is not an integer"),
        ({"n_ubatch": -1}, "n_ubatch=-1 is not an integer from 1"),
        ({"n_batch": 16}, "forwards over 16 rows .* at least 34 are needed"),
        ({"drafter": "demo"}, "drafter='demo' is for one conversation at a time"),
        ({"logits_all": True}, "logits_all=True is for one conversation"),
    ],
)
def test_what_an_engine_cannot_be_is_said(models, settings, message):
    with pytest.raises(ConfigError, match=message):
        Engine(str(models("Q4_0")), **settings)


def test_a_model_that_is_no_path_is_refused():
    for n_ctx in (0, 64):
        with pytest.raises(ConfigError, match="model_path=5 is of type int"):
            Engine(5, n_ctx=n_ctx)


@pytest.mark.parametrize("n_ctx", [0, 200])
def test_a_window_is_that_of_a_llama(models, n_ctx):
    """0 is the model's, others are rounded up."""
    path = str(models("Q4_0"))
    with Engine(path, parallel=2, n_ctx=n_ctx, **ONE) as engine, Llama(path, n_ctx=n_ctx, **ONE) as alone:
        assert {seat.n_ctx() for seat in engine.seats} == {alone.n_ctx()}


def test_a_recurrent_model_is_refused(mamba):
    with pytest.raises(ConfigError, match="cannot serve several conversations at a time"):
        Engine(str(mamba), n_ctx=64, **ONE)


def test_closing_ends_everything(models):
    engine = Engine(str(models("Q4_0")), parallel=2, n_ctx=2048, **ONE)
    handles = [engine.submit([1, 300 + i], max_tokens=2000, temperature=0.0) for i in range(6)]
    stream = engine.submit([1, 300], max_tokens=2000, stream=True)
    engine.close()
    engine.close()
    for handle in handles:
        with pytest.raises(ClosedError):
            handle.result(timeout=60)
    with pytest.raises(ClosedError):
        list(stream)
    with pytest.raises(ClosedError, match="engine is closed"):
        engine.submit([1, 300])


def test_asyncio_waits_streams_and_cancels(models):
    async def run() -> None:
        with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, **ONE) as engine:
            one, other = await asyncio.gather(
                engine.submit([1, 300], max_tokens=20, temperature=0.0),
                engine.submit([1, 301], max_tokens=9, temperature=0.0),
            )
            assert [len(made["choices"][0]["text"]) > 5 for made in (one, other)] == [True, True]
            chunks = [chunk async for chunk in engine.submit([1, 300], max_tokens=20, temperature=0.0, stream=True)]
            assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == one["choices"][0]["text"]
            long = engine.submit([1, 300], max_tokens=200)
            task = asyncio.ensure_future(_await(long))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert long.done
            await engine.submit([1, 300], max_tokens=1)

    asyncio.run(run())


async def _await(handle: object) -> dict:
    return await handle


@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_is_neither_copied_nor_pickled(models, take):
    with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, **ONE) as engine:
        with pytest.raises(ConfigError, match="no value to be copied or pickled"):
            take(engine)
        assert engine.submit([1, 300], max_tokens=2).result(timeout=60)["choices"]


def test_what_is_learned_is_what_was_read(models, store_path):
    """The store of an engine's conversations is that of the same conversations one after the other."""
    path = str(models("Q4_0"))
    settings = ONE | {"store": str(store_path)}
    with Engine(path, parallel=3, n_ctx=WINDOW, **settings) as engine:
        for handle in [engine.submit([1, 300 + i] * 5, max_tokens=40, temperature=0.0) for i in range(6)]:
            handle.result()
    with Llama(path, n_ctx=WINDOW, **settings) as alone:
        alone.planner.cost = CostCurve.of({1: 1.0, 8: 1.1})  # what rows cost here and now is not asked
        alone.create_completion([1, 300] * 5, max_tokens=40, temperature=0.0)
        assert alone.stats.accepted["model"] > 5


def test_no_token_is_made_that_nobody_will_read(models):
    """So short answers are promised few cells, too: both run although the cache has room for one long one."""
    with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, n_cells=WINDOW, **ONE) as engine:
        bias = {engine.model.token_eos(): -100.0}
        handles = [engine.submit([1, 300 + i], max_tokens=5, temperature=0.0, logit_bias=bias) for i in range(2)]
        assert [handle.result()["usage"]["completion_tokens"] for handle in handles] == [5, 5]
        assert sum(slot.output for slot in engine.slots) == 10
        assert max(slot.used for slot in engine.slots) == 2


def test_what_forbids_a_forward_ends_the_requests_and_nothing_else(models):
    with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, **ONE) as engine:
        expected = engine.submit([1, 300], max_tokens=5, temperature=0.0).result()["choices"]

        class Full:
            def before(self, cells: int) -> None:
                msg = f"no room, with {cells} cells"
                raise DecodeError(msg)

        pace, engine._loop._pace = engine._loop._pace, Full()
        with pytest.raises(DecodeError, match="no room, with"):
            engine.submit([1, 300], max_tokens=5).result()
        engine._loop._pace = pace
        assert engine.submit([1, 300], max_tokens=5, temperature=0.0).result()["choices"] == expected


def test_a_machine_that_is_gone_ends_the_engine_with_the_reason(models):
    def check():
        msg = "the RPC server is gone"
        raise DecodeError(msg)

    with Engine(str(models("Q4_0")), parallel=2, n_ctx=WINDOW, **ONE) as engine:
        begun, gone = threading.Event(), threading.Event()

        def wait(tokens, logits):
            begun.set()
            return not gone.wait(60)

        running = engine.submit([1, 300], max_tokens=200, temperature=0.0, stream=True, stopping_criteria=wait)
        assert begun.wait(60)
        engine.model._life.check = check
        gone.set()
        with pytest.raises(DecodeError, match="the RPC server is gone"):
            list(running)
        engine._loop.join(60)
        with pytest.raises(DecodeError, match="the RPC server is gone"):
            engine.submit([1, 300]).result()


def test_the_last_chunk_comes_though_it_ends_between_two_looks(models):
    """A worker's last chunks may come while an asynchronous reader asks whether there will be more."""
    with Engine(str(models("Q4_0")), parallel=1, n_ctx=WINDOW, **ONE) as engine:
        handle = engine.submit([1, 300], max_tokens=1, temperature=0.0, stream=True)
        future = handle._future

        class Slow:
            """Another thread runs until its answer has ended, or cannot go on, whenever somebody asks."""

            def __getattr__(self, name):
                return getattr(future, name)

            def done(self):
                if not handle._news._is_owned():
                    future.exception(60)
                return future.done()

        handle._future = Slow()

        async def read():
            return [chunk async for chunk in handle]

        assert asyncio.run(read())[-1]["choices"][0]["finish_reason"] == "length"
