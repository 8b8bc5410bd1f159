"""The table of clients: each cell a real call, for those that are installed."""

from __future__ import annotations

import importlib.metadata

import client_table
import pytest
from one_model import ONE
from served import Served

from hd_edge import Llama
from hd_edge.server import create_app

FRAMEWORKS = [client for client in client_table.CLIENTS if client[0] != "openai"]


@pytest.fixture(scope="module")
def url(smollm2_q4_0):
    with Served(create_app(Llama(str(smollm2_q4_0), n_ctx=1024, **ONE), "little")) as served:
        yield served.url


def test_openai_speaks_all_of_it(url):
    version, said = client_table.column("openai", client_table.with_openai, url)
    assert version
    assert said == dict.fromkeys(client_table.FEATURES, "yes")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "package", "make"), FRAMEWORKS, ids=[client[0] for client in FRAMEWORKS])
def test_frameworks_that_are_installed(url, name, package, make):
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    _, said = client_table.column(package, make, url)
    assert "no" not in said.values(), f"{name}: {said}"


def test_a_call_that_fails_is_a_no(capsys):
    def broken() -> bool:
        raise ValueError("boom")

    assert not client_table.works("x, chat", broken)
    assert "x, chat: ValueError: boom" in capsys.readouterr().err
    assert client_table.column("no-such-package", client_table.with_openai, "") == ("", {})


def test_the_page_has_the_table():
    page = client_table.PAGE.read_text(encoding="utf-8")
    made = page.split(client_table.BEGIN)[1].split(client_table.END)[0]
    for feature in client_table.FEATURES:
        assert f"\n| {feature} | yes |" in made
    assert " no |" not in made
