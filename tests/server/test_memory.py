"""Where memory or threads run out, a request fails as the server's fault, and the next one has the turn."""

from __future__ import annotations

import asyncio
import threading
from typing import ClassVar

import pytest

from hd_edge.server import answer
from hd_edge.server.buffer import Buffer

BODY = {"prompt": "the cat", "max_tokens": 3, "temperature": 0.0}


@pytest.fixture(scope="module")
def served(llm, serve):
    return serve(llm)


def test_no_memory_is_the_servers_fault(served, llm, monkeypatch):
    def full(**_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(llm, "create_chat_completion", full)
        response = served.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]})
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "internal_server_error"
    assert response.json()["error"]["message"].startswith("no memory is left for this: ")
    assert served.post("/v1/completions", BODY).status_code == 200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_turn_ends_where_that_cannot_be_put_into_the_buffer(served, monkeypatch):
    put = Buffer.put

    def failing(buffer, arrival):
        put(buffer, arrival)
        if arrival.chunk is None:
            raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Buffer, "put", failing)
        served.post("/v1/completions", BODY)
    assert served.post("/v1/completions", BODY).status_code == 200


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_the_turn_ends_where_no_thread_can_be_made(served, monkeypatch, error):
    start = threading.Thread.start

    def none_left(thread):
        if getattr(thread._target, "__name__", "") == "_run":
            raise error
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        assert served.post("/v1/completions", BODY).status_code == 500
    assert served.post("/v1/completions", BODY).status_code == 200


def test_the_end_is_waited_for_where_no_thread_can_wait(monkeypatch):
    async def none_left(*_):
        raise RuntimeError("can't start new thread")

    class Running:
        asked: ClassVar[list] = []

        def stop(self, wait=None):
            self.asked.append(wait)
            return len(self.asked) == 3

    monkeypatch.setattr(asyncio, "to_thread", none_left)
    asyncio.run(answer._stopped(Running()))
    assert Running.asked == [0, 0, 0]
