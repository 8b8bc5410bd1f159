"""Chromium, and the page in it."""

from __future__ import annotations

import pytest
from browser import DESKTOP, Chat, find_chromium
from scripted import Scripted
from served import Served


@pytest.fixture(scope="session")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed; CHROMIUM=PATH names one that lies elsewhere")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium):
    """A profile of its own; its clipboard may be read."""
    context = chromium.new_context(viewport=DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def server():
    """A server that answers what the test wants."""
    scripted = Scripted()
    served = Served(scripted.app)
    scripted.url = served.url
    yield scripted
    scripted.released = 1000
    served.stop()


@pytest.fixture
def chat(context, server):
    """The page of that server."""
    return Chat(context.new_page(), server.url)
