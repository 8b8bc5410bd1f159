"""A crowd at the server: clients that leave, ask nonsense, or just ask. None is lost, none mixed up."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from company import integrity
from one_model import ALONE
from served import Served

from hd_edge import Engine, Llama
from hd_edge.server import create_app

WINDOW = 256
CLIENTS = 8
BAD = [
    ({"prompt": "the " * 4000, "max_tokens": 4}, 400),
    ({"prompt": "the", "temperature": -1}, 400),
    ({"prompt": [10**7]}, 400),
    ({"prompt": "the", "grammar": "root ::= ("}, 400),
    ({"prompt": "the", "n": 0}, 400),
]


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def good(choose: random.Random) -> dict:
    """A request whose answer depends on nothing but itself."""
    words = ["the", "cat", "sat", "on", "a", "mat"]
    body = {"prompt": " ".join(choose.choices(words, k=choose.randrange(1, 40))), "max_tokens": choose.randrange(1, 50)}
    body |= {"temperature": choose.choice([0.0, 0.8]), "seed": choose.randrange(1000)}
    if choose.random() < 0.1:
        body |= {"grammar": 'root ::= "yes" | "no" [a-z]*'}
    if choose.random() < 0.1:
        body |= {"n": 2}
    return body


def streamed(http: httpx.Client, path: str, body: dict) -> list[str]:
    """Its choices, put together; llama_cpp leaves characters of several tokens out of a stream now and then."""
    texts = [""] * body.get("n", 1)
    with http.stream("POST", path, json=body | {"stream": True}) as response:
        for line in response.read().decode().split("\n"):
            if line.startswith("data: {"):
                choice = json.loads(line[6:])["choices"][0]
                texts[choice["index"]] += choice["text"]
    return texts


class Client:
    """Asks a number of questions, in ways that a random choice says."""

    def __init__(self, url: str, bodies: list[dict]) -> None:
        self.url, self.bodies = url, bodies
        self.answers: dict[int, list[str]] = {}
        self.streams: dict[int, list[str]] = {}
        self.left = self.refused = 0

    def ask(self, number: int) -> None:
        choose = random.Random(number)
        body = self.bodies[number % len(self.bodies)]
        way = choose.choice(["whole", "whole", "streamed", "leaves", "leaves at once", "nonsense"])
        path = f"{self.url}/v1/completions"
        with httpx.Client(timeout=120) as http:
            if way == "whole":
                choices = http.post(path, json=body).raise_for_status().json()["choices"]
                self.answers[number] = [choice["text"] for choice in choices]
            elif way == "streamed":
                self.streams[number] = streamed(http, path, body)
            elif way == "nonsense":
                wrong, status = choose.choice(BAD)
                assert http.post(path, json=wrong).status_code == status
                self.refused += 1
            else:
                with http.stream("POST", path, json=body | {"stream": True, "max_tokens": 200}) as response:
                    lines = response.iter_lines()
                    for _ in range(0 if way == "leaves at once" else choose.randrange(1, 6)):
                        next(lines, None)
                self.left += 1


@pytest.fixture(scope="module")
def path(models):
    return str(models("Q4_0"))


def go(path: str, requests: int) -> tuple[int, int]:
    """A crowd asks so many things; memory after a fifth of them, and at the end."""
    bodies = [good(random.Random(number)) for number in range(60)]
    with (
        Engine(path, parallel=4, n_ctx=WINDOW, n_cells=3 * WINDOW, **ALONE) as engine,
        Served(create_app(engine, "model")) as served,
    ):
        client = Client(served.url, bodies)
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(client.ask, range(requests // 5)))
            before = resident()
            list(threads.map(client.ask, range(requests // 5, requests)))
        served.wait_for("llamacpp:requests_processing", 0)
        after = resident()
        assert len(client.answers) + len(client.streams) + client.left + client.refused == requests
        assert served.metric("llamacpp:requests_deferred") == 0
        assert integrity(engine) == ""
        assert engine.compactions > 0
    with (
        Llama(path, n_ctx=WINDOW, **ALONE) as alone,
        Served(create_app(alone, "model")) as served,
        httpx.Client(timeout=120) as http,
    ):
        path = f"{served.url}/v1/completions"
        expected, in_streams = {}, {}
        for number in {number % len(bodies) for number in client.answers}:
            answer = http.post(path, json=bodies[number]).raise_for_status().json()
            expected[number] = [choice["text"] for choice in answer["choices"]]
        for number in {number % len(bodies) for number in client.streams}:
            in_streams[number] = streamed(http, path, bodies[number])
    for number, texts in client.answers.items():
        assert texts == expected[number % len(bodies)]
    for number, texts in client.streams.items():
        assert texts == in_streams[number % len(bodies)]
    return before, after


def test_nobody_is_lost_and_nobody_mixed_up(path):
    go(path, 100)


@pytest.mark.soak
def test_a_thousand_requests_leave_the_memory_as_it_is(path, survival):
    survival.what = "requests of 8 clients that leave, ask nonsense, or just ask"
    with survival.case(1000):
        before, after = go(path, 1000)
    survival.note = f"{(after - before) / 1e6:.1f} MB more after the last 800"
    assert after - before < 16 << 20
