"""A server for tests, in a thread of its own."""

from __future__ import annotations

import json
import re
import socket
import threading
import time

import httpx
import openai
import uvicorn

from hd_edge.server.protocol import Protocol

CANCELLED = 'hd_edge:requests_total{outcome="cancelled"}'
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def request(path: str, body: object, version: str = "1.1") -> bytes:
    """The bytes of a POST."""
    data = json.dumps(body).encode()
    lines = (f"POST {path} HTTP/{version}", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""]).encode() + data


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    said = b""
    while got := connection.recv(65_536):
        said += got
    return said


class Served:
    """An application on a free port, in a thread; its end is that of the application's model."""

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

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def connect(self, data: bytes = b"") -> socket.socket:
        """A connection that has sent these bytes."""
        connection = socket.create_connection(self.socket.getsockname(), timeout=60)
        connection.sendall(data)
        return connection

    def openai(self) -> openai.OpenAI:
        """OpenAI's client of this server."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)

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
