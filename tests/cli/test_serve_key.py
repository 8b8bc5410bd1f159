"""The key and the origins of ``hd-edge serve``: what no client can send, or was not filled in, is told at once."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hd_edge.cli import cli
from hd_edge.cli.values import Origin


@pytest.mark.parametrize("key", ["", " ", " sp", "sp ", "a\nb", "a\x00", "\x85x"])
@pytest.mark.parametrize("by", ["option", "variable"])
def test_keys_that_nobody_can_send(key, by, monkeypatch):
    arguments = ["serve", "-m", "no.gguf", "--port", "0"]
    if by == "option":
        arguments += ["--api-key", key]
    else:
        environment = {"HD_EDGE_API_KEY": key}
        if "\0" in key:
            pytest.skip("no variable holds it")
        monkeypatch.setenv("HD_EDGE_API_KEY", environment["HD_EDGE_API_KEY"])
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert "no client can send" in done.stderr


@pytest.mark.parametrize("origin", ["x", "", "localhost:3000", "http://a/b", "http://a/", "http://a b", "http://u@a"])
def test_origins_that_no_browser_sends(origin):
    done = CliRunner().invoke(cli, ["serve", "-m", "no.gguf", "--port", "0", "--cors", origin])
    assert done.exit_code == 2
    assert f"{origin!r} is no web origin" in done.stderr


@pytest.mark.parametrize(
    ("given", "origin"), [("*", "*"), ("null", "null"), ("file://", "file://"), ("HTTP://A:1", "http://a:1")]
)
def test_origins_are_taken_as_browsers_send_them(given, origin):
    assert Origin().convert(given, None, None) == origin


def test_a_host_that_is_no_name_is_told():
    from hd_edge.errors import ConfigError
    from hd_edge.server.run import listen

    with pytest.raises(ConfigError, match="cannot listen at"):
        listen("a\udcff", 0)
