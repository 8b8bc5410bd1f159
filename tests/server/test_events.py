"""Events of a stream: the bytes of each chunk whole, in as few writes as there are wake-ups."""

from __future__ import annotations

import asyncio
import copy
import json

import pytest

from hd_edge.engine.running import Arrival
from hd_edge.server.answer import TOGETHER, Answer, Job
from hd_edge.server.buffer import Buffer
from hd_edge.server.events import Events, event
from hd_edge.server.metrics import Requests
from hd_edge.server.turn import Turn

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": 'a "model"'}


def chunk(delta, **more):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **more}
    return {**HEAD, "choices": [choice]}


CHUNKS = {
    "text": chunk({"content": " the"}),
    "quotes": chunk({"content": '"\\\n\t\x00\x7f</é\U0001f600'}),
    "ends of lines": chunk({"content": "a\u2028b\u2029c\x85d\x0b\x0c\x1c\x1d\x1e\r\n"}),
    "thought of ends": chunk({"reasoning_content": "a\u2028b"}),
    "half a character": chunk({"content": "a\ud83d"}),
    "empty": chunk({"content": ""}),
    "no text": chunk({"content": None}),
    "role": chunk({"role": "assistant"}),
    "both": chunk({"role": "assistant", "content": "a"}),
    "thought": chunk({"reasoning_content": "a"}),
    "end": chunk({}, finish_reason="stop"),
    "last text": chunk({"content": "a"}, finish_reason="length"),
    "probabilities": chunk({"content": "a"}, logprobs={"content": [{"logprob": -0.5}]}),
    "second choice": chunk({"content": "a"}, index=1),
    "tier": chunk({"content": "a"}, tier="context"),
    "another model": {**chunk({"content": "a"}), "model": "b"},
    "times": {**chunk({"content": "a"}), "timings": {"n": 1}},
    "two": {**HEAD, "choices": [*chunk({"content": "a"})["choices"]] * 2},
    "none": {**HEAD, "choices": []},
    "completion": {**HEAD, "choices": [{"text": "a", "index": 0, "logprobs": None, "finish_reason": None}]},
}


@pytest.mark.parametrize("name", CHUNKS)
def test_every_chunk_has_the_bytes_of_json(name):
    events = Events()
    for each in (CHUNKS["text"], CHUNKS[name], CHUNKS["text"], CHUNKS[name]):
        assert events.of(copy.deepcopy(each)) == event(each)
        said = event(each).decode().removeprefix("data: ")
        assert json.loads(said.encode("utf-8", "surrogatepass")) == each
        assert said.splitlines() == [said.removesuffix("\n\n"), ""]  # as httpx reads lines


def test_what_waits_is_told_once_and_written_at_once():
    """The event loop is woken once for chunks of one step; more than TOGETHER of them are several writes."""

    async def run() -> tuple[int, list[bytes]]:
        loop, told = asyncio.get_running_loop(), []
        plain = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *a: told.append(a) or plain(*a)
        buffer = Buffer()
        texts = [str(n) for n in range(TOGETHER + 2)]
        for text in texts:
            buffer.put(Arrival(chunk({"content": text})))
        buffer.put(Arrival(None))
        sent: list[bytes] = []

        async def send(message: dict) -> None:
            sent.append(message.get("body", b""))

        job = Job([], samples=1, stream=True, usage=False, tiers=False)
        requests = Requests()
        await Answer(Turn(requests, []), requests, job)._send(buffer, {}, None, send)
        return len(told), sent

    told, sent = asyncio.run(run())
    assert told == 1
    assert [body.count(b"data: ") for body in sent] == [0, TOGETHER, 2, 1]
    assert b"".join(sent) == b"".join(event(chunk({"content": str(n)})) for n in range(TOGETHER + 2)) + event(None)
