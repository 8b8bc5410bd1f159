"""A server for tests, in a thread of its own."""

from __future__ import annotations

import json
import re
import socket
import threading
import time

import httpx
import uvicorn

from hd_edge.server.protocol import Protocol


class Served:
    """An application on a free port, in a thread."""

    def __init__(self, app) -> None:
        self.server = uvicorn.Server(
            uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1, http=Protocol)
        )
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
            client.get(f"{self.url}/health", timeout=60).raise_for_status()

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.url}/metrics").raise_for_status().text
        return sum(float(m[1]) for m in re.finditer(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE))

    def post(self, path: str, body: object = None, content: bytes | None = None) -> httpx.Response:
        data = json.dumps(body).encode() if content is None else content
        return httpx.post(self.url + path, content=data, headers={"Content-Type": "application/json"}, timeout=120)

    def wait_for(self, name: str, value: float) -> None:
        deadline = time.monotonic() + 60
        while self.metric(name) != value:
            assert time.monotonic() < deadline, f"{name} is {self.metric(name)}, not {value}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()
