"""Where the server listens, and options of it that cannot be: told in a sentence, before the model loads."""

from __future__ import annotations

import socket
from functools import partial

import pytest
from children import hd_edge

from hd_edge.errors import ConfigError
from hd_edge.server.run import listen

serve = partial(hd_edge, "serve", "-m", "no.gguf")


def test_an_address_in_use_is_told_in_one_line_before_the_model_is_looked_for():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve("--port", taken.getsockname()[1])
    assert done.returncode == 1
    assert done.stderr.startswith("hd-edge: cannot listen at '127.0.0.1', port ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["256.1.1.1", "a" * 80, "fe80::zz"])
def test_hosts_that_are_none(host):
    with pytest.raises(ConfigError, match=f"cannot listen at '{host}', port 0: .*; choose another"):
        listen(host, 0)


def test_who_connects_while_the_model_loads_waits():
    with listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.parametrize(
    "wrong", [("--max-body", "nan"), ("--max-body", "inf"), ("--max-body", "0"), ("--api-key", ""), ("--port", "65536")]
)
def test_options_that_cannot_be(wrong):
    done = serve(*wrong)
    assert done.returncode == 2
    assert wrong[0] in done.stderr
