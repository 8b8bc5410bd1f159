"""What is refused before a request is read: hosts, origins, keys, content types, sizes."""

from __future__ import annotations

import asyncio
import json

import pytest

from hd_edge.server.guard import Guard, is_local

JSON = {"content-type": "application/json"}


class Asked:
    """One request at a guarded application that answers with the body it read."""

    def __init__(self, method="POST", path="/v1/x", headers=None, parts=(b"{}",), **settings) -> None:
        self.status, self.read, self.sent = 0, None, b""
        self._parts = list(parts)
        guard = Guard(self._app, **settings)
        given = {"host": "127.0.0.1:8080", **(JSON if headers is None else headers)}
        lists = {name: [value] if isinstance(value, str) else value or [] for name, value in given.items()}
        pairs = [(name.encode(), value.encode()) for name, values in lists.items() for value in values]
        scope = {"type": "http", "method": method, "path": path, "headers": pairs}
        asyncio.run(guard(scope, self._receive, self._send))

    @property
    def code(self) -> str:
        return json.loads(self.sent)["error"]["code"]

    async def _app(self, scope, receive, send) -> None:
        message = await receive()
        self.read = message.get("body") if message["type"] == "http.request" else message["type"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _receive(self):
        if not self._parts:
            return {"type": "http.disconnect"}
        part = self._parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}

    async def _send(self, message) -> None:
        self.status = message.get("status", self.status)
        self.sent += message.get("body", b"")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_post_must_say_that_it_is_json(kind):
    asked = Asked(headers={} if kind is None else {"content-type": kind})
    assert (asked.status, asked.code, asked.read) == (415, "wrong_content_type", None)


@pytest.mark.parametrize("key", ["voil\u00e0", "sesam\u00c5", "s\u00e9same", "secret"])
def test_every_key_that_can_be_sent_opens(key):
    for value in (f"Bearer {key}", f"bearer  {key} \t"):
        assert Asked(headers={**JSON, "authorization": value}, api_key=key).status == 200
    assert Asked(headers={**JSON, "authorization": f"Bearer {key[:-1]}"}, api_key=key).status == 401


@pytest.mark.parametrize("length", ["99999999999999999999", "9" * 5000, "4194305"])
def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(length):
    assert Asked(headers={**JSON, "content-length": length}, parts=()).status == 413


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken(kind):
    assert Asked(headers={"content-type": kind}).read == b"{}"


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9090", "http://127.0.0.1:8080.evil", "http://[", "http://[::1"],
)
def test_another_origin_may_not_post_whatever_it_says_it_sends(origin):
    asked = Asked(headers={**JSON, "origin": origin})
    assert (asked.status, asked.code, asked.read) == (403, "wrong_origin", None)
    assert Asked(headers={**JSON, "origin": origin}, origins=[origin]).status == 200
    assert Asked(headers={**JSON, "origin": origin}, origins=["*"]).status == 200


def test_the_page_itself_may_post():
    assert Asked(headers={**JSON, "origin": "http://127.0.0.1:8080"}).status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]", "[::1]:8080", "::1", "localhost.:8080"]
)
def test_names_of_this_machine(host):
    status = Asked(headers={**JSON, "host": host}).status
    assert status == (400 if host == "::1" else 200)  # without brackets it is no Host header


@pytest.mark.parametrize("path", ["/health", "/v1/x"])
def test_a_request_that_names_no_host_is_of_no_browser(path):
    assert Asked(method="GET", path=path, headers={"host": None}).status == 200
    asked = Asked(path=path, headers={**JSON, "host": None, "origin": "http://evil.example"})
    assert (asked.status, asked.code) == (403, "wrong_origin")


@pytest.mark.parametrize("kinds", [["application/json", "text/plain"], ["text/plain", "application/json"]])
def test_content_types_that_differ_are_refused(kinds):
    asked = Asked(headers={"content-type": kinds})
    assert (asked.status, asked.code, asked.read) == (400, "invalid_http", None)
    assert Asked(headers={"content-type": ["application/json"] * 2}).read == b"{}"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost.evil", "[::2]", "localhost..", "."]
)
def test_other_names_are_refused_at_a_local_address_only(host):
    asked = Asked(method="GET", headers={"host": host})
    assert (asked.status, asked.code) == (400, "wrong_host")
    assert Asked(method="GET", headers={"host": host}, host="0.0.0.0").status == 200


def test_local_addresses():
    assert [is_local(host) for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost")] == [True] * 4
    assert [is_local(host) for host in ("0.0.0.0", "::", "192.168.1.4", "::ffff:192.168.1.4")] == [False] * 4
    assert Asked(host="127.0.0.9", headers={**JSON, "host": "127.0.0.9:80"}).status == 200


@pytest.mark.parametrize("host", ["LOCALHOST", "Localhost", "127.1", "2130706433", "0x7f000001", "::ffff:127.0.0.1"])
def test_other_spellings_of_a_local_address_are_local(host):
    assert is_local(host)
    evil = Asked(method="GET", headers={"host": "evil.example"}, host=host)
    assert (evil.status, evil.code) == (400, "wrong_host")
    names = ["localhost:8080", "127.0.0.1", f"[{host}]" if ":" in host else host]
    assert {Asked(method="GET", headers={"host": name}, host=host).status for name in names} == {200}


def test_a_name_is_local_where_all_its_addresses_are(monkeypatch):
    found = {"mine": ["127.0.1.1"], "both": ["127.0.0.1", "192.168.1.4"], "nobody": []}

    def look_up(host, *_):
        if not found[host]:
            raise OSError(-2, "unknown")
        return [(2, 1, 6, "", (address, 0)) for address in found[host]]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    assert [is_local(host) for host in ("mine", "both", "nobody", "")] == [True, False, True, False]
    for name, status in (("mine", 200), ("127.0.1.1", 200), ("evil.example", 400)):
        assert Asked(method="GET", headers={"host": name}, host="mine").status == status


@pytest.mark.parametrize(
    "sent", [None, "Bearer wrong", "Basic secret", "secret", "Bearer", "Bearer secreT", "Bearer \xff"]
)
def test_a_wrong_key(sent):
    asked = Asked(headers={**JSON, **({} if sent is None else {"authorization": sent})}, api_key="secret")
    assert (asked.status, asked.code, asked.read) == (401, "invalid_api_key", None)


def test_a_key_of_any_letters():
    assert Asked(headers={**JSON, "authorization": "Bearer schl\u00fcssel"}, api_key="schl\u00fcssel").status == 200


def test_the_right_key_and_what_needs_none():
    assert Asked(headers={**JSON, "authorization": "bearer secret"}, api_key="secret").status == 200
    assert Asked(method="GET", path="/health", api_key="secret").status == 200
    assert Asked(method="GET", path="/", api_key="secret").status == 200
    assert Asked(method="GET", path="/metrics", api_key="secret").status == 401


def test_a_body_that_says_it_is_too_large_is_not_read():
    asked = Asked(headers={**JSON, "content-length": "101"}, parts=[b"x"] * 200, most_bytes=100)
    assert (asked.status, asked.code) == (413, "body_too_large")
    assert len(asked._parts) == 200


@pytest.mark.parametrize(
    "length", [{}, {"content-length": "5"}, {"content-length": "many"}, {"content-length": "9" * 99}]
)
def test_a_body_that_grows_too_large_is_read_no_further(length):
    asked = Asked(headers={**JSON, **length}, parts=[b"x" * 10] * 200, most_bytes=100)
    assert (asked.status, asked.code) == (413, "body_too_large")
    assert len(asked._parts) >= 189


def test_a_body_at_the_limit_arrives_whole():
    assert Asked(parts=[b"x" * 50] * 2, most_bytes=100).read == b"x" * 100


def test_a_client_that_leaves_while_it_sends():
    asked = Asked(parts=[])
    assert asked.read == "http.disconnect"


HOSTS = ["evil.com:29101@127.0.0.1", "evil.com@localhost:8080", "127.0.0.1/x", "127.0.0.1?x", "127.0.0.1#@evil.com"]
HOSTS += ["127.0.0.1:x", "localhost\\@evil.com", "", "@", "[::1]@evil.com"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_a_name_and_a_port(host):
    asked = Asked(headers={**JSON, "host": host})
    assert (asked.status, asked.code) == (400, "wrong_host")
    assert Asked(headers={**JSON, "host": "[::1]:8080"}).status == 200
    assert Asked(headers={**JSON, "host": "LocalHost"}).status == 200
