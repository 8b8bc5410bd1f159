"""A client that reads slowly, or not at all, gives the turn back. No test waits: patience is an argument."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hd_edge.engine.running import Arrival
from hd_edge.server.answer import Answer, Job
from hd_edge.server.buffer import Buffer, SlowReaderError
from hd_edge.server.metrics import Requests
from hd_edge.server.turn import Turn


def chunk(number: int) -> Arrival:
    return Arrival({"number": number})


def test_a_full_buffer_is_an_error_when_patience_is_over():
    async def run() -> None:
        buffer = Buffer(patience=0, size=3)
        for number in range(3):
            buffer.put(chunk(number))
        with pytest.raises(SlowReaderError, match="left 3 chunks unread"):
            buffer.put(chunk(3))
        buffer.taken()
        buffer.put(chunk(3))
        buffer.put(Arrival(None))  # the end needs no room
        await asyncio.sleep(0)
        assert [(await buffer.get()).chunk for _ in range(5)] == [*({"number": n} for n in range(4)), None]

    asyncio.run(run())


def test_patience_is_for_all_waiting_together(monkeypatch):
    """A reader that always takes a chunk just in time is given up after the same time as one that takes none."""
    now = [0.0]

    async def run() -> int:
        buffer = Buffer(patience=10, size=1, clock=lambda: now[0])

        def wait_for(_: object, patience: float) -> None:
            if patience > 0:  # the reader takes its chunk after four seconds
                now[0] += 4
                buffer.taken()

        monkeypatch.setattr(buffer._changed, "wait_for", wait_for)
        put = 0
        with pytest.raises(SlowReaderError):
            while True:
                buffer.put(chunk(put))
                put += 1
        return put

    assert asyncio.run(run()) == 4  # one that needs no room, and three waits


def test_a_closed_buffer_wakes_who_waits():
    async def run() -> None:
        buffer = Buffer(patience=600, size=1)
        buffer.put(chunk(0))
        failed: list[BaseException] = []

        def put() -> None:
            try:
                buffer.put(chunk(1))
            except SlowReaderError as error:
                failed.append(error)

        thread = threading.Thread(target=put)
        thread.start()
        await asyncio.to_thread(buffer.close)
        await asyncio.to_thread(thread.join)
        assert len(failed) == 1

    asyncio.run(run())


@pytest.fixture(scope="module")
def llm(tiny):
    with tiny(n_ctx=2048) as llm:
        yield llm


def test_a_reader_that_stops_reading_gives_the_turn_back(llm):
    """The next client is answered, and the generation was stopped, not finished."""
    bias = {llm.tokenize(b"x", add_bos=False)[-1]: 100.0}  # every chunk is a letter

    def job(tokens: int) -> Job:
        call = lambda llm: llm.create_completion("the cat", max_tokens=tokens, stream=True, logit_bias=bias)  # noqa: E731
        return Job([call], samples=1, stream=True, usage=False, tiers=False)

    async def run() -> None:
        requests = Requests()
        turn = Turn(requests, [llm])

        async def never(_: object = None) -> dict:
            await asyncio.Event().wait()
            raise AssertionError

        slow = Answer(turn, requests, job(2000), patience=0)
        await slow({"type": "http"}, never, never)
        assert (requests.cancelled, requests.running, requests.done) == (1, 0, 0)
        assert 0 < llm.stats.tokens < 1500

        sent: list[bytes] = []

        async def send(message: dict) -> None:
            sent.append(message.get("body", b""))

        await Answer(turn, requests, job(3))({"type": "http"}, never, send)
        assert (requests.cancelled, requests.running, requests.done) == (1, 0, 1)
        assert sent[-1] == b"data: [DONE]\n\n"

    asyncio.run(run())


def test_a_generation_that_has_ended_holds_no_turn_while_its_client_reads(llm):
    async def run() -> None:
        requests = Requests()
        turn = Turn(requests, [llm])
        call = lambda llm: llm.create_completion("the cat", max_tokens=4, stream=True)  # noqa: E731
        reading = asyncio.Event()

        async def never() -> dict:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(_: object) -> None:
            await reading.wait()

        answer = Answer(turn, requests, Job([call], samples=1, stream=True, usage=False, tiers=False))
        first = asyncio.create_task(answer({"type": "http"}, never, send))
        while not requests.running:
            await asyncio.sleep(0)
        async with turn.seat():  # to be had although the first client has read nothing
            assert not first.done()
        reading.set()
        await first
        assert (requests.done, requests.cancelled) == (1, 0)

    asyncio.run(run())
