"""The end of a server with requests in flight: the generation first, then the model; it is learned, and told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time

import default_signals
import httpx
import pytest
from children import HD_EDGE, address, hd_edge
from one_model import ALONE
from served import everything, request

from hd_edge import Engine
from hd_edge.server.errors import RefusedError
from hd_edge.server.metrics import Requests
from hd_edge.server.turn import Turn

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


class Child:
    """``hd-edge serve`` in a process of its own."""

    def __init__(self, model, home, *arguments: str, ignored: bool = False) -> None:
        command = [*HD_EDGE, "serve", "-m", str(model), "-t", "1", "--port", "0", *arguments]
        environment = {**os.environ, "HD_EDGE_HOME": str(home)}
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=None if ignored else default_signals.restore,
        )
        self.url, self.said = address(self.process)

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, transport=httpx.HTTPTransport(retries=5), timeout=120)

    def end(self, number: int) -> tuple[int, str]:
        """Exit status and what was said after the signal."""
        self.process.send_signal(number)
        return self.rest()

    def rest(self) -> tuple[int, str]:
        """Exit status and what was said, at its end."""
        try:
            _, said = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        kept = [line for line in said.splitlines() if line and not line.startswith("decode: removing memory")]
        return self.process.returncode, "\n".join(kept)


def long(stream: bool) -> dict:
    return {"prompt": "the cat", "max_tokens": 30_000, "stream": stream, "logit_bias": {"2": -100}, "temperature": 0.0}


@pytest.mark.parametrize("again", [False, True], ids=["told once", "told again and again"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 0)])
def test_a_stream_in_flight(models, tmp_path, number, status, again):
    child = Child(models("Q4_0"), tmp_path, "-c", "32768")
    with child.http() as http, http.stream("POST", "/v1/completions", json=long(True)) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("data: {")
        child.process.send_signal(number)
        while again and child.process.poll() is None:
            child.process.send_signal(number)
            time.sleep(0.002)
        ended = child.rest()
        rest = [line for line in lines if line]
    assert ended == (status, "")
    assert json.loads(rest[-2].removeprefix("data: "))["error"]["code"] == "server_stopping"
    assert rest[-1] == "data: [DONE]"
    assert answers(tmp_path) == 1


def answers(home) -> int:
    """How many were learned."""
    return json.loads(hd_edge("db", "info", "--json", HD_EDGE_HOME=str(home)).stdout)["stores"][0]["answers"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_that_are_to_be_ignored_are(models, tmp_path, number):
    """As in a script's ``hd-edge serve ... &``, or under ``nohup``."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        child = Child(models("Q4_0"), tmp_path, "-c", "256", ignored=True)
    finally:
        signal.signal(number, before)
    child.process.send_signal(number)
    with child.http() as http:
        assert http.get("/health").status_code == 200
    assert child.end(signal.SIGTERM) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_and_one_in_the_queue(models, tmp_path, number):
    child = Child(models("Q4_0"), tmp_path, "-c", "32768")
    address = ("127.0.0.1", int(child.url.rsplit(":", 1)[1]))
    with child.http() as http:
        http.get("/health")
        with socket.create_connection(address) as first, socket.create_connection(address) as second:
            for connection in (first, second):
                connection.sendall(request("/v1/completions", long(False)))
            while "requests_processing 1\n" not in (text := http.get("/metrics").text) or "deferred 1\n" not in text:
                pass
            status, said = child.end(number)
            answers = [everything(connection) for connection in (first, second)]
    assert (status, said) == (130 if number == signal.SIGINT else 0, "")
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"server_stopping" in answer


def test_embeddings_in_flight(models, tmp_path):
    child = Child(models("Q4_0"), tmp_path, "-c", "512", "--embedding")
    address = ("127.0.0.1", int(child.url.rsplit(":", 1)[1]))
    with child.http() as http, socket.create_connection(address) as connection:
        connection.sendall(request("/v1/embeddings", {"input": ["the cat " * 40] * 2048}))
        while "requests_processing 1\n" not in http.get("/metrics").text:
            pass
        ended = child.end(signal.SIGTERM)
        answer = everything(connection)
    assert ended == (0, "")
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"server_stopping" in answer


def test_an_idle_server_ends_at_once(models, tmp_path):
    assert Child(models("Q4_0"), tmp_path, "-c", "256").end(signal.SIGTERM) == (0, "")


def test_the_address_of_ipv6(models, tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    child = Child(models("Q4_0"), tmp_path, "-c", "256", "--host", "::1")
    assert child.url.startswith("http://[::1]:")
    assert not any("everyone" in line for line in child.said)
    with child.http() as http:
        assert http.get("/health").status_code == 200
        body = {"prompt": "a", "max_tokens": 2}
        assert http.post("/v1/completions", json=body, headers={"Origin": child.url}).status_code == 200
        assert http.post("/v1/completions", json=body, headers={"Origin": "http://evil.example"}).status_code == 403
    assert child.end(signal.SIGTERM) == (0, "")


def test_the_size_of_a_body_is_an_option(models, tmp_path):
    child = Child(models("Q4_0"), tmp_path, "-c", "2048", "--max-body", "0.01")
    with child.http() as http:
        for size, status in ((5_000, 200), (20_000, 413)):
            assert http.post("/extras/tokenize/count", json={"input": "a" * size}).status_code == status
    assert child.end(signal.SIGTERM) == (0, "")


def test_a_turn_that_has_stopped_is_nobodys():
    async def run() -> None:
        requests = Requests()
        turn = Turn(requests, [None])
        done = []

        async def work() -> None:
            await turn.beside(lambda: done.append(1))

        async def wait_for_turn() -> None:
            async with turn.seat():
                pytest.fail("the server has stopped")

        async with turn.seat():
            queued = asyncio.create_task(wait_for_turn())
            stopping = asyncio.create_task(turn.stop())
            await turn.stopping.wait()
            assert (requests.running, stopping.done()) == (1, False)
        await stopping
        with pytest.raises(RefusedError, match="the server ends"):
            await queued
        for attempt in (wait_for_turn(), work()):
            with pytest.raises(RefusedError, match="the server ends"):
                await attempt
        assert (requests.waiting, requests.running, done) == (0, 0, [])

    asyncio.run(run())


def test_stopping_waits_for_threads_beside_the_turn():
    async def run() -> None:
        turn = Turn(Requests(), [])
        began, go_on, ended = asyncio.Event(), asyncio.Event(), []
        loop = asyncio.get_running_loop()

        def work() -> None:
            loop.call_soon_threadsafe(began.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            ended.append(1)

        running = asyncio.create_task(turn.beside(work))
        await began.wait()
        running.cancel()  # the client left; the thread still uses the model
        stopping = asyncio.create_task(turn.stop())
        await turn.stopping.wait()
        await asyncio.sleep(0)
        assert not stopping.done()
        go_on.set()
        await stopping
        assert ended == [1]

    asyncio.run(run())


def test_an_engine_that_has_ended_is_not_healthy(models, serve, monkeypatch):
    engine = Engine(str(models("Q4_0")), n_ctx=256, parallel=2, **ALONE)
    served = serve(engine)
    monkeypatch.setattr(engine._loop.budget, "observe", lambda *_: 1 / 0)
    with httpx.Client(base_url=served.url, timeout=60) as http:
        assert http.get("/health").json() == {"status": "ok"}
        assert http.post("/v1/completions", json={"prompt": "a b", "max_tokens": 3}).status_code == 500
        engine._loop.join(60)
        assert (http.get("/health").status_code, http.get("/health").json()) == (503, {"status": "ended"})
