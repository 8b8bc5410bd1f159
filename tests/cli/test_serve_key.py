"""The key of ``hd-edge serve``: one that no client can send, or that was not filled in, is told at once."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hd_edge.cli import cli


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


def test_a_host_that_is_no_name_is_told():
    from hd_edge.errors import ConfigError
    from hd_edge.server.run import listen

    with pytest.raises(ConfigError, match="cannot listen at"):
        listen("a\udcff", 0)
