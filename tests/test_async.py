"""asyncio: equal answers, one request at a time, and a cancelled task that leaves nothing running."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from one_model import ONE

from hd_edge import AsyncLlama, Llama, async_llama
from hd_edge.errors import ClosedError, ConfigError, DecodeError

TALK = [{"role": "user", "content": "the cat"}]
GREEDY = {"max_tokens": 12, "temperature": 0.0}


@pytest.fixture
def llm(models):
    with Llama(str(models("Q4_0")), n_ctx=4096, **ONE) as llm:
        yield llm


def text(done) -> str:
    return done["choices"][0]["message"]["content"]


def test_answers_are_those_of_the_model(llm):
    want = text(llm.create_chat_completion(TALK, **GREEDY))
    plain = llm.create_completion("the cat", **GREEDY)["choices"][0]["text"]
    pieces = [piece.text for piece, _ in zip(llm.generate("the cat", temp=0.0), range(5), strict=False)]

    async def ask() -> None:
        own = AsyncLlama(llm)
        assert text(await own.create_chat_completion(TALK, **GREEDY)) == want
        chunks = [chunk async for chunk in await own.create_chat_completion(TALK, stream=True, **GREEDY)]
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == want
        assert (await own.create_completion("the cat", **GREEDY))["choices"][0]["text"] == plain
        async with contextlib.aclosing(own.generate("the cat", temp=0.0)) as stream:
            assert [(await anext(stream)).text for _ in range(5)] == pieces
        together = await asyncio.gather(*(own.create_chat_completion(TALK, **GREEDY) for _ in range(4)))
        assert {text(done) for done in together} == {want}

    asyncio.run(ask())


def test_a_cancelled_task_stops_its_generation(llm):
    long = {"max_tokens": 4000, "temperature": 0.0, "logit_bias": {"2": -100}}

    async def ask() -> None:
        own = AsyncLlama(llm)
        stream = await own.create_completion("the cat", stream=True, **long)
        await anext(stream)
        tasks = [asyncio.create_task(own.create_completion("the cat", **long)) for _ in range(2)]
        reading = asyncio.create_task(_read(stream))
        await asyncio.sleep(0)
        for task in (reading, *tasks):
            task.cancel()
        for task in (reading, *tasks):
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not llm._life.taken
        before = llm.total_stats.tokens
        assert before < 4000
        assert (await own.create_completion("the cat", **GREEDY))["choices"][0]["finish_reason"] == "length"
        assert llm.total_stats.tokens == before + llm.stats.tokens

    asyncio.run(ask())


async def _read(stream) -> None:
    async for _ in stream:
        pass


def test_a_stream_that_is_closed_stops(llm):
    async def ask() -> None:
        own = AsyncLlama(llm)
        stream = await own.create_completion("the cat", stream=True, max_tokens=4000, logit_bias={"2": -100})
        async for _ in stream:
            break
        await stream.aclose()
        assert llm.stats.tokens < 4000
        assert not own._turn.locked()

    asyncio.run(ask())


@pytest.mark.parametrize("kind", ["completion", "chat", "generate"])
def test_a_task_that_left_a_stream_may_call_again(llm, kind):
    """It would wait for itself for ever. The stream ends, and says so to whoever reads on; other tasks wait for it."""
    want = llm.create_completion("the cat", **GREEDY)["choices"][0]["text"]

    async def begin(own: AsyncLlama):
        if kind == "generate":
            return own.generate("the cat", temp=0.0)
        given = "the cat" if kind == "completion" else TALK
        call = own.create_completion if kind == "completion" else own.create_chat_completion
        return await call(given, max_tokens=500, temperature=0.0, stream=True)

    async def ask() -> None:
        own = AsyncLlama(llm)
        left = [await begin(own) for _ in range(3)]
        for stream in left:
            async for _ in stream:
                break
        assert (await own.create_completion("the cat", **GREEDY))["choices"][0]["text"] == want
        for stream in left:
            with pytest.raises(DecodeError, match="ended when another generation"):
                await anext(stream)
        assert not own._turn.locked()
        stream = await own.create_completion("the cat", stream=True, **GREEDY)
        chunks = [await anext(stream)]
        waiting = asyncio.create_task(own.create_completion("the cat", **GREEDY))
        chunks += [chunk async for chunk in stream]
        assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == want
        assert (await waiting)["choices"][0]["text"] == want

    asyncio.run(asyncio.wait_for(ask(), 60))


def test_a_stream_that_was_dropped_ends_without_a_word(llm):
    """asyncio closes it in a task of its own, while the next call of its reader does."""
    own, said = AsyncLlama(llm), []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        for _ in range(10):
            stream = await own.create_completion("the cat", stream=True, **GREEDY)
            async for _ in stream:
                break
            del stream
            await own.create_completion("a dog", **GREEDY)
        gc.collect()  # tasks whose errors nobody has taken
        await asyncio.sleep(0)

    asyncio.run(run())
    assert said == []


def test_whoever_waits_for_tasks_waits_though_everything_is_cancelled():
    """As ``asyncio.run`` cancels all tasks at its end; a turn is given up when what goes on in a thread has ended."""

    async def run() -> None:
        others = asyncio.all_tasks()
        goes_on = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(async_llama.ended(goes_on))
        for _ in range(3):
            await asyncio.sleep(0)
            for task in asyncio.all_tasks() - others:
                task.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
        goes_on.set_result(None)
        await waiting

    asyncio.run(asyncio.wait_for(run(), 60))


def test_errors_and_the_end(models):
    async def ask() -> None:
        async with AsyncLlama(models("Q4_0"), n_ctx=64, n_threads=1, store=None, statistics=None) as own:
            with pytest.raises(ConfigError, match="temperature"):
                await own.create_completion("a", temperature=-1)
            stream = await own.create_completion("a", temperature=-1, stream=True)
            with pytest.raises(ConfigError, match="temperature"):
                await anext(stream)
        with pytest.raises(ClosedError):
            await own.create_completion("a")

    asyncio.run(ask())


def test_a_stream_that_nobody_reads_finds_room(models, monkeypatch):
    """Also while whoever tells it to stop still waits for a thread."""
    monkeypatch.setattr(async_llama, "AHEAD", 1)
    told = threading.Event()

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        async with AsyncLlama(str(models("Q4_0")), n_ctx=256, n_threads=1, store=None, prefix_cache=None) as llm:
            stream = await llm.create_completion("the cat", max_tokens=60, temperature=0.0, stream=True)
            await anext(stream)
            waiting = loop.run_in_executor(None, told.wait)
            closing = asyncio.ensure_future(stream.aclose())
            while llm.llm.stats.tokens < 60:
                await asyncio.sleep(0)
            told.set()
            await asyncio.gather(waiting, closing)
            return llm.llm.stats.tokens

    try:
        assert asyncio.run(asyncio.wait_for(main(), 60)) == 60
    finally:
        told.set()


def test_an_event_loop_that_is_closed_with_a_stream_open(llm, monkeypatch):
    """Nobody ends its generators then: the thread behind them has to see it by itself."""
    monkeypatch.setattr(async_llama, "AHEAD", 1)
    monkeypatch.setattr(async_llama, "LOOK", 0.01)
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    before, own = set(threading.enumerate()), AsyncLlama(llm)
    streams = []

    async def begin():
        streams.append(await own.create_completion("the cat", max_tokens=500, temperature=0.0, stream=True))
        await anext(streams[0])

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    assert raised == []
    assert llm.stats.tokens < 500
    assert text(asyncio.run(own.create_chat_completion(TALK, **GREEDY)))


def test_an_event_loop_that_ends_with_a_stream_referenced_says_nothing(llm, caplog):
    """It closes the stream and the generator within it side by side."""
    kept = []

    async def first() -> None:
        kept.append(await AsyncLlama(llm).create_completion("the cat", stream=True, max_tokens=4000))
        await anext(kept[0])

    asyncio.run(first())
    assert not caplog.records
    assert text(llm.create_chat_completion(TALK, **GREEDY))


def test_one_event_loop_after_another(llm):
    """Waiting tasks bind a lock of asyncio to their loop."""
    own = AsyncLlama(llm)

    async def ask() -> set[str]:
        done = await asyncio.gather(*(own.create_chat_completion(TALK, **GREEDY) for _ in range(3)))
        return {text(one) for one in done}

    assert asyncio.run(ask()) == asyncio.run(ask()) == {text(llm.create_chat_completion(TALK, **GREEDY))}


def test_two_event_loops_at_once_are_told(llm):
    own, begun, told = AsyncLlama(llm), threading.Event(), threading.Event()

    async def hold() -> int:
        stream = await own.create_completion("the cat", stream=True, **GREEDY)
        waiting = asyncio.ensure_future(own.create_completion("the cat", **GREEDY))
        chunks = 0
        async for _ in stream:
            begun.set()
            await asyncio.to_thread(told.wait)
            chunks += 1
        await waiting
        return chunks

    async def other() -> None:
        with pytest.raises(ConfigError, match="2 calls in another event loop"):
            await own.create_completion("the cat", **GREEDY)

    with ThreadPoolExecutor() as pool:
        holding = pool.submit(asyncio.run, hold())
        begun.wait()
        try:
            asyncio.run(other())
        finally:
            told.set()
        assert holding.result() > 1
    assert asyncio.run(own.create_completion("the cat", **GREEDY))["choices"]
